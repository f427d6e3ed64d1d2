"""Metadata: read and written in every format there was, and never damaged where a newer cbir wrote them."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from cbir.collection.archive import write_archive
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionError, NewerFormatError
from cbir.collection.home import default_collection
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import FORMAT, Metadata
from cbir.collection.served.cards import RESERVED
from cbir.collection.served.engine import ServedEngine
from tests.collection.sample import METADATA, fill, ids

#: As cbir wrote it before there were format numbers.
FORMAT_1 = {
    "fingerprint": "0123456789abcdef",
    "dimension": 4,
    "model": "m",
    "sources": ["digits", "/home/me/photos"],
    "input_shape": [28, 28, 1],
    "version": "0.1.0",
    "created": "2026-01-01T00:00:00+00:00",
    "updated": "2026-01-01T00:00:00+00:00",
    "background": [0.5, 0.1, 3],
    "smooth": 0,
}
NEWER = {"format": FORMAT + 1, "model": "m", "encoders": ["one", "two"]}


def stored(engine: Engine, name: str) -> dict[str, Any]:
    """Return the metadata of a collection as the engine stores them."""
    if isinstance(engine, EmbeddedEngine):
        return dict(json.loads((engine.folder / name / "collection.json").read_text()))
    assert isinstance(engine, ServedEngine)
    client = engine.server.client
    if engine._store.reserved:
        points, _ = client.scroll(RESERVED)
        return dict(next(p.payload["cbir"] for p in points if p.payload and p.payload["collection"] == f"{name}@1"))
    return dict((client.get_collection(f"{name}@1").config.metadata or {})["cbir"])


def store(engine: Engine, name: str, metadata: dict[str, Any]) -> None:
    """Store metadata as another version of cbir would."""
    if isinstance(engine, EmbeddedEngine):
        (engine.folder / name / "collection.json").write_text(json.dumps(metadata))
        return
    assert isinstance(engine, ServedEngine)
    client = engine.server.client
    if engine._store.reserved:
        points, _ = client.scroll(RESERVED)
        (point,) = [p.id for p in points if p.payload and p.payload["collection"] == f"{name}@1"]
        payload = {"collection": f"{name}@1", "cbir": metadata}
        client.upsert(RESERVED, [models.PointStruct(id=point, vector=[0.0], payload=payload)], wait=True)
    else:
        client.update_collection(f"{name}@1", metadata={"cbir": metadata})


def test_metadata_are_read_as_they_were_written():
    full = replace(METADATA, background=(0.5, 0.1, 3), smooth=2, roots={"photos": "/home/me/photos"}, extra={"x": [1]})
    document = json.loads(json.dumps(full.to_json()))
    assert document["format"] == FORMAT
    assert document["x"] == [1]
    assert Metadata.from_json(document) == full


def test_format_1_is_read():
    metadata = Metadata.from_json(FORMAT_1)
    assert metadata.sources == ("digits", "/home/me/photos")
    assert (metadata.background, metadata.roots, metadata.extra) == ((0.5, 0.1, 3), {}, {})
    assert not Metadata.from_json({k: v for k, v in FORMAT_1.items() if k not in ("background", "smooth")}).smooth


def test_a_newer_format_is_refused_whatever_else_the_metadata_contain():
    with pytest.raises(NewerFormatError) as raised:
        Metadata.from_json(NEWER, "collection 'c'")
    assert str(raised.value) == (
        f"collection 'c' was written by a newer cbir (format {FORMAT + 1}; this one reads up to {FORMAT}): upgrade cbir"
    )


@pytest.mark.parametrize(
    "wrong", [{"format": "2"}, {"format": 0}, {"model": "../m"}, {"input_shape": 3}, {"smooth": "1"}]
)
def test_damaged_metadata_are_not_taken_for_newer_ones(wrong: dict[str, Any]):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Metadata.from_json({**FORMAT_1, **wrong})


def test_a_picture_is_located_by_its_root():
    metadata = replace(METADATA, roots={"photos": "/mnt/photos"})
    place = {"source": "photos", "uri": "cats/1.png"}
    assert metadata.locate(place) == str(Path("/mnt/photos/cats/1.png"))
    assert metadata.locate({"source": "photos", "uri": "./photos:1.png"}) == str(Path("/mnt/photos/photos:1.png"))
    assert metadata.locate({"source": "photos", "uri": "%:caf%E9.png"}) == "/mnt/photos/caf\udce9.png"
    assert metadata.locate({"source": "photos", "uri": "/old/photos/1.png"}) == "/old/photos/1.png"
    assert metadata.locate({"source": "mnist", "uri": "mnist:train/7"}) == "mnist:train/7"
    assert metadata.locate({}) == ""


def test_a_collection_of_format_1_opens(engine: Engine, points: Collection):
    fill(points, np.ones((3, 4), np.float32))
    points.close()
    before = stored(engine, "points")
    store(engine, "points", {**FORMAT_1, **({"shard": before["shard"]} if "shard" in before else {})})
    with closing(engine.open("points")) as opened:
        assert opened.count() == 3
        assert opened.metadata.background == (0.5, 0.1, 3)
        opened.remember(replace(opened.metadata, roots={"photos": "/home/me/photos"}))
    assert stored(engine, "points")["format"] == FORMAT
    assert engine.metadata("points").sources == ("digits", "/home/me/photos")


def test_keys_of_newer_versions_are_kept(engine: Engine, points: Collection):
    store(engine, "points", {**stored(engine, "points"), "watched": {"every": 5}})
    # Also by one that was opened before they were written, and by one that makes its metadata afresh.
    points.remember(replace(METADATA, sources=("s", "t")))
    points.close()
    assert stored(engine, "points")["watched"] == {"every": 5}
    assert engine.metadata("points") == replace(METADATA, sources=("s", "t"), extra={"watched": {"every": 5}})


def test_nothing_changes_what_a_newer_cbir_wrote(engine: Engine, points: Collection, tmp_path: Path):
    fill(points, np.ones((3, 4), np.float32))
    write_archive(points, tmp_path / "c.zip")
    before = stored(engine, "points")
    newer = {**NEWER, **({"shard": before["shard"]} if "shard" in before else {})}
    store(engine, "points", newer)
    # It is open here: the newer cbir has written its metadata since.
    with pytest.raises(NewerFormatError):
        points.remember(METADATA)
    points.close()
    for use in (
        lambda: engine.metadata("points"),
        lambda: engine.open("points"),
        lambda: engine.create("points", METADATA),
        lambda: engine.replacement("points", METADATA).__enter__(),
        lambda: engine.restore(tmp_path / "c.zip", "points"),
        lambda: engine.delete("points"),
    ):
        with pytest.raises(CollectionError, match=r"newer cbir .*: upgrade cbir$|collection 'points' already"):
            use()
    with engine.writing("points"):
        pass
    assert engine.exists("points")
    assert engine.names() == ["points"]
    assert stored(engine, "points") == newer
    store(engine, "points", before)
    with closing(engine.open("points")) as opened:
        assert opened.count() == 3


def test_a_collection_that_a_newer_cbir_wrote_meanwhile_is_not_replaced(engine: Engine, points: Collection):
    points.close()
    before = stored(engine, "points")

    def replace_too_late() -> None:
        with engine.replacement("points", METADATA) as new:
            fill(new, np.ones((3, 4), np.float32))
            store(engine, "points", {**before, "format": FORMAT + 1})

    with pytest.raises(NewerFormatError):
        replace_too_late()
    store(engine, "points", before)
    with closing(engine.open("points")) as opened:
        assert opened.count() == 0


def test_the_default_collection_is_one_that_can_be_read(engine: Engine, points: Collection):
    points.close()
    store(engine, "points", {**stored(engine, "points"), **NEWER})
    with pytest.raises(NewerFormatError):
        default_collection(engine)
    engine.create("older", METADATA).close()
    assert default_collection(engine) == "older"


def test_an_archive_contains_all_metadata(engine: Engine, points: Collection, tmp_path: Path):
    kept = replace(METADATA, roots={"photos": "/mnt/photos"}, extra={"watched": {"every": 5}})
    points.remember(kept)
    fill(points, np.ones((3, 4), np.float32))
    write_archive(points, tmp_path / "c.zip")
    points.close()
    engine.restore(tmp_path / "c.zip", "again")
    assert engine.metadata("again") == kept
    with closing(engine.open("again")) as again:
        assert set(again.payloads(ids(3))) == set(ids(3))
