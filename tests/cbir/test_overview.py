"""The overview of collections and models."""

from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.errors import CollectionError


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
