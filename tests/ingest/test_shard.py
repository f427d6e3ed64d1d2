"""A share of an ingest is pickled, done in another process, and its result added to others'."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.ingest.places import Places
from cbir.ingest.shard import Share, ingest_share
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.store import Stored, merged
from tests.conftest import picture


def work(share: Share, engine: EmbeddedEngine, name: str) -> Stored:
    """Open the collection where the share is done, and do it."""
    with closing(engine.open(name)) as collection, Places.of(collection) as places:
        return sum(ingest_share(share, collection, places), Stored())


def test_shares_of_two_processes_fill_a_collection(home: Path, pictures: Path):
    for seed in range(30):
        picture(100 + seed).save(pictures / "b" / f"more {seed}.png")
    (pictures / "b" / "bad.png").write_text("no picture")
    whole = cbir.ingest(pictures, encoder="pixels", collection="whole")
    cbir.ingest(pictures, encoder="pixels", limit=1)

    source = FolderSource(pictures)
    shares = [Share(source, start, start + 20, whole.model.path) for start in (0, 20)]
    assert [share.stop for share in pickle.loads(pickle.dumps(shares))] == [20, 40]
    engine = EmbeddedEngine(home / "collections")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(work, share, engine, "pictures").result() for share in shares]
    total = sum(done, Stored())
    assert (total.ingested, total.updated, total.unchanged) == (35, 0, 1)
    assert [Path(uri).name for uri, _ in total.unreadable] == ["bad.png"]
    together = merged(engine.metadata("pictures").background, total.background)
    assert together == pytest.approx(engine.metadata("whole").background)

    def points(name: str) -> dict[str, list[float]]:
        with closing(engine.open(name)) as collection:
            return {i: v.tolist() for page in collection.scroll() for i, v in zip(page.ids, page.vectors, strict=True)}

    assert points("pictures") == points("whole")
