"""The collections that are kept open."""

import time
import unicodedata
import warnings
from contextlib import closing
from pathlib import Path

import pytest

import cbir
from cbir.collection import home as home_module
from cbir.collection.errors import CollectionError
from cbir.collection.served.late import ServerWarning
from cbir.core.settings import read_settings
from cbir.serve.library import Library
from tests.collection.test_server import GREETING, answering


def test_a_collection_is_opened_once_however_its_name_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(tmp_path))
    cbir.ingest("digits", encoder="pixels", limit=2, collection="Caf\u00e9")
    with closing(Library(read_settings())) as library:
        searcher = library.searcher("Caf\u00e9")
        assert searcher.collection.count() == 2
        for name in ("Caf\u00e9", "caf\u00e9", "CAF\u00c9"):
            for form in ("NFC", "NFD"):
                assert library.searcher(unicodedata.normalize(form, name)) is searcher  # type: ignore[arg-type]


@pytest.mark.usefixtures("home")
def test_a_request_waits_for_a_server_that_fails_for_seconds_not_for_a_minute(monkeypatch: pytest.MonkeyPatch):
    """As where the node that has the collection is away: others wait for the places that such requests hold."""
    monkeypatch.setattr(home_module, "PATIENCE_OF_ASKING", 0.3)
    with (
        answering((200, GREETING), (503, "")) as url,
        closing(Library(read_settings(qdrant_url=url))) as library,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ServerWarning)
        for name in ("c", None):
            start = time.monotonic()
            with pytest.raises(CollectionError, match="gave up after 0 s"):
                library.searcher(library.spelled(name))
            assert time.monotonic() - start < 10
