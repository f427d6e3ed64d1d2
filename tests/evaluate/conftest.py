"""What tests of evaluations share."""

from typing import Any

import pytest

from cbir.model import picture as picture_module


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that is decoded from now on."""
    given: list[bytes] = []
    decode = picture_module._picture

    def counted(form: str, content: bytes, *rest: Any, **options: Any) -> Any:
        given.append(content)
        return decode(form, content, *rest, **options)

    monkeypatch.setattr(picture_module, "_picture", counted)
    monkeypatch.setenv("CBIR_PROCESSES", "0")  # what worker processes decode is not seen here
    return given
