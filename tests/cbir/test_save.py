"""`--save` writes where a folder is, and makes none: a slip in a path is noticed before the work."""

from pathlib import Path

import pytest

import cbir
from tests.commands import failure


@pytest.mark.parametrize(
    "command",
    [
        ("search", "digits:queries/0", "--save", "{}/s.png"),
        ("snapshot", "--save", "{}/d.zip"),
        ("denoise", "--save", "{}/d.png"),
        ("compare", "--encoder", "pixels", "--save", "{}/out"),
    ],
    ids=lambda command: command[0],
)
def test_a_folder_that_is_not_there(digits: Path, tmp_path: Path, command: tuple[str, ...]):
    nowhere = tmp_path / "slip"
    message = failure(*(part.format(nowhere) for part in command))
    assert f"{nowhere} does not exist; make it first" in message
    assert not nowhere.exists()


def test_a_file_for_a_folder(digits: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(cbir.CbirError, match="file is not a folder"):
        cbir.snapshot("digits", tmp_path / "file" / "d.zip")
