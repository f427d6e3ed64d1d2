"""The collections that are kept open."""

import unicodedata
from contextlib import closing
from pathlib import Path

import pytest

import cbir
from cbir.core.settings import read_settings
from cbir.serve.library import Library


def test_a_collection_is_opened_once_however_its_name_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(tmp_path))
    cbir.ingest("digits", encoder="pixels", limit=2, collection="Caf\u00e9")
    with closing(Library(read_settings())) as library:
        searcher = library.searcher("Caf\u00e9")
        assert searcher.collection.count() == 2
        for name in ("Caf\u00e9", "caf\u00e9", "CAF\u00c9"):
            for form in ("NFC", "NFD"):
                assert library.searcher(unicodedata.normalize(form, name)) is searcher  # type: ignore[arg-type]
