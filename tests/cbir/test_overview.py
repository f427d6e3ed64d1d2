"""The overview of collections and models."""

import json
import re
from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.errors import CollectionError
from cbir.collection.interface import Collection, Info
from tests.commands import run


def test_a_collection_whose_size_cannot_be_read_is_listed_and_closed(
    home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    cbir.ingest(pictures, encoder="pixels")
    for state in home.rglob("cbir-state.json"):
        state.unlink()  # as those of an older cbir
    closed = []

    def refused(self: EmbeddedCollection) -> None:
        raise CollectionError("damaged")

    close = EmbeddedCollection.close
    monkeypatch.setattr(EmbeddedCollection, "info", refused)
    monkeypatch.setattr(EmbeddedCollection, "close", lambda self: closed.append(self.name) or close(self))
    (summary,) = cbir.overview().collections
    assert (summary.name, summary.info, summary.problem) == ("pictures", None, "damaged")
    assert closed == ["pictures"]


def test_a_collection_is_not_opened_to_tell_its_size_unless_it_may_have_changed(
    home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    cbir.ingest(pictures, encoder="pixels")
    opened: list[str] = []
    usual = EmbeddedEngine.open

    def noted(self: EmbeddedEngine, name: str) -> Collection:
        opened.append(name)
        return usual(self, name)

    monkeypatch.setattr(EmbeddedEngine, "open", noted)

    def info() -> Info | None:
        (summary,) = cbir.overview().collections
        return summary.info

    told = info()
    assert (told and told.points, opened) == (6, [])
    with cbir.open("pictures") as searcher:
        searcher.collection.build_index()
        expected = searcher.collection.info()
        opened.clear()
    told = info()
    assert told
    assert ((told.points, told.indexed), opened) == ((expected.points, expected.indexed), [])
    (state,) = home.rglob("cbir-state.json")
    before = json.loads(state.read_text())
    assert before["indexed"] == expected.indexed
    for unsure in ({"indexed": -1}, {"clean": False}, {"updated": "then"}, {"files": {}}, {"files": {"x": 1}}):
        state.write_text(json.dumps({**before, **unsure}))
        opened.clear()
        told = info()
        assert (told and told.points, opened) == (6, ["pictures"]), unsure


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
