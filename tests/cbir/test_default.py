"""The collection that is used where none is named: the one that somebody asked for last."""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.metadata import Metadata
from tests.collection.sample import METADATA, fill


def default() -> str | None:
    return cbir.overview().default


def test_compare_and_restore_do_not_move_it(home: Path, pictures: Path, tmp_path: Path):
    for label in ("c", "d"):
        shutil.copytree(pictures / "b", pictures / label)
    cbir.ingest(pictures, collection="one", encoder="pixels")
    cbir.snapshot("one", tmp_path / "again.cbir.zip")
    cbir.ingest(pictures, collection="two", encoder="pixels")
    cbir.compare(pictures, encoders=["pixels"], queries=4)
    assert default() == "two"
    cbir.restore(tmp_path / "again.cbir.zip")
    cbir.restore(tmp_path / "again.cbir.zip", "zzz")
    assert default() == "two"
    cbir.remove("two", where="uri=b/*")
    assert default() == "two"
    # Each becomes the default as soon as somebody asks for it.
    cbir.ingest(pictures, collection="again")
    assert default() == "again"
    cbir.ingest(pictures, collection="pictures-pixels")
    assert default() == "pictures-pixels"
    cbir.compare(pictures, encoders=["color-histogram"], queries=4)
    assert default() == "pictures-pixels"


def test_a_comparison_alone_has_a_default(home: Path, pictures: Path):
    for label in ("c", "d"):
        shutil.copytree(pictures / "b", pictures / label)
    cbir.compare(pictures, encoders=["pixels", "color-histogram"], queries=4)
    assert default() == "pictures-color-histogram"


def test_the_latest_that_was_asked_for(home: Path):
    engine = EmbeddedEngine(home / "collections")
    for name, when in (("a", "2026-01-02"), ("b", "2026-01-01")):
        with closing(engine.create(name, replace(METADATA, ingested=when))) as collection:
            fill(collection, np.ones((1, 4), np.float32))
    assert default() == "a"


def test_older_metadata_tell_only_when_they_were_written():
    stored = METADATA.to_json()
    del stored["ingested"]
    assert Metadata.from_json(stored).ingested == METADATA.updated
