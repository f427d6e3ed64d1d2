"""A cluster of three nodes, one of which dies: what has two replicas goes on; what has one keeps nothing waiting."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cbir
from cbir.collection.home import default_collection
from cbir.collection.interface import Collection
from cbir.collection.layout import Layout
from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.reader import Reader
from cbir.collection.served.rest import AnswerError
from cbir.collection.served.server import Server
from cbir.core.errors import CbirWarning
from tests.collection.sample import METADATA, fill, ids
from tests.qdrant import QdrantProcess, cluster, needs_binary

POINTS = 3_000
BATCH = 250

pytestmark = [needs_binary, pytest.mark.filterwarnings("ignore::cbir.collection.served.late.ServerWarning")]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[QdrantProcess]]:
    made = cluster(tmp_path)
    yield made
    for node in made:
        node.kill()


def engine_at(node: QdrantProcess, locks: Path, layout: Layout, retry_for: float = 30) -> ServedEngine:
    return ServedEngine(Server(address(node.url), retry_for=retry_for, timeout=10), locks, layout=layout)


def killed_meanwhile(node: QdrantProcess, seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, node.kill)
    timer.start()
    return timer


def assert_every_point_once(collection: Collection, vectors: np.ndarray) -> None:
    expected = dict(zip(ids(POINTS), vectors, strict=True))
    found = [(i, vector) for page in collection.scroll() for i, vector in zip(page.ids, page.vectors, strict=True)]
    assert sorted(i for i, _ in found) == sorted(expected)
    for i, vector in found:
        np.testing.assert_array_equal(vector, expected[i])
    assert collection.count() == POINTS


def test_a_node_may_die_while_points_are_loaded_and_while_they_are_searched(nodes: list[QdrantProcess], tmp_path: Path):
    asked, second, third = nodes
    vectors = np.random.default_rng(0).random((POINTS, 4), np.float32)
    payloads = [{"uri": f"u{number}"} for number in range(POINTS)]
    with (
        closing(engine_at(asked, tmp_path, Layout(shards=3, replicas=2))) as engine,
        closing(engine.create("c", METADATA)) as collection,
    ):
        for start in range(0, POINTS, BATCH):
            dying = killed_meanwhile(third, 0.003) if start == 2 * BATCH else None
            part = slice(start, start + BATCH)
            collection.upsert(ids(POINTS)[part], vectors[part], payloads[part])
            if dying is not None:
                dying.join()
        assert_every_point_once(collection, vectors)

        # Without the second node, a third of the points are only on the one that was away.
        third.start()
        asked.wait_for_replicas("c@1", 6)
        dying = killed_meanwhile(second, 0.05)
        found = [collection.search(vector, 1, exact=True)[0].id for vector in vectors[:100]]
        dying.join()
        found += [collection.search(vector, 1, exact=True)[0].id for vector in vectors[100:200]]
        assert found == ids(200)
        assert_every_point_once(collection, vectors)


def test_a_collection_of_a_node_that_is_away_keeps_no_other_waiting(
    nodes: list[QdrantProcess], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked, _, third = nodes
    with (
        closing(engine_at(asked, tmp_path, Layout(shards=3, replicas=2))) as engine,
        closing(engine.create("well", replace(METADATA, ingested="2026-01-02"))) as well,
        closing(ServedEngine(engine.server, tmp_path, layout=Layout(shards=3))) as other,
    ):
        fill(well, np.eye(4, dtype=np.float32))
        for name in ("sick", "sick too"):
            other.create(name, METADATA).close()
        third.kill()
        start = time.monotonic()
        assert default_collection(engine) == "well"
        found = {each.name: each for each in cbir.overview(qdrant_url=asked.url).collections}
        # Each of the two is asked for again for four seconds, both at once.
        assert time.monotonic() - start < 8
        assert found["well"].info is not None
        assert found["well"].info.points == 4
        for name in ("sick", "sick too"):
            assert (found[name].info, len(found[name].problem.splitlines())) == (None, 1)
            assert f"127.0.0.1:{third.peer_port}" in found[name].problem  # which node is away

        # A gateway may keep Qdrant's account of all collections to itself.
        monkeypatch.setattr(Reader, "telemetry", forbidden)
        start = time.monotonic()
        with pytest.warns(CbirWarning, match="collection 'well' is used; 'sick.*' cannot be read") as said:
            assert default_collection(engine, warn=True) == "well"
        assert len(said) == 2
        assert time.monotonic() - start < 4


def forbidden(_: Reader, _seconds: float) -> None:
    raise AnswerError(403, "Forbidden", b"")
