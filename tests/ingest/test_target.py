"""Where the points of a source go, when what is there cannot be read now."""

from contextlib import closing
from pathlib import Path

import pytest

from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.served.faults import Fault
from cbir.collection.served.server import RefusedError
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.target import find_target
from tests.collection.sample import METADATA


def test_a_collection_that_a_server_does_not_tell_of_now_is_not_taken_for_a_damaged_one(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    engine = EmbeddedEngine(tmp_path / "collections")
    with closing(engine.create("c", METADATA)):
        pass

    def away(_: str) -> None:
        raise RefusedError(Fault("no answer from Qdrant", temporary=True))

    monkeypatch.setattr(engine, "metadata", away)
    # To retrain, it would replace what holds other sources too.
    with pytest.raises(RefusedError, match="no answer"):
        find_target(engine, "c", FolderSource(pictures), retrain=True, add_source=True, smooth=None)
