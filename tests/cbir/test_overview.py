"""The overview of collections and models."""

import re
from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.errors import CollectionError
from tests.commands import run


def test_a_collection_whose_size_cannot_be_read_is_listed_and_closed(
    home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    cbir.ingest(pictures, encoder="pixels")
    closed = []

    def refused(self: EmbeddedCollection) -> None:
        raise CollectionError("damaged")

    close = EmbeddedCollection.close
    monkeypatch.setattr(EmbeddedCollection, "info", refused)
    monkeypatch.setattr(EmbeddedCollection, "close", lambda self: closed.append(self.name) or close(self))
    (summary,) = cbir.overview().collections
    assert (summary.name, summary.info, summary.problem) == ("pictures", None, "damaged")
    assert closed == ["pictures"]


def test_names_and_paths_stay_whole_in_a_narrow_terminal(home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch):
    long = pictures.rename(pictures.with_name("a folder with a name that is nearly as long as a line of a terminal"))
    cbir.ingest(long, collection="a-collection-with-a-name-of-more-than-forty-letters", encoder="pixels")
    monkeypatch.setenv("FORCE_COLOR", "1")
    for columns, alone in (("80", True), ("400", False)):
        monkeypatch.setenv("COLUMNS", columns)
        printed = re.sub(r"\x1b\[[0-9;]*m", "", run("info").stdout).splitlines()
        assert ("a-collection-with-a-name-of-more-than-forty-letters (default)" in printed) is alone
        assert (f"  source  {long}" in printed) is alone
        assert any(str(long) in line for line in printed)
