"""What of the benchmarks could be wrong without anybody's noticing: what is reckoned, and what clients ask."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.clients import HITS, NAME, clients
from benchmarks.cluster import BLOCK, Asked, Play, recall, tenths
from benchmarks.scale import fitted
from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from tests.collection.sample import METADATA, fill
from tests.qdrant import QdrantProcess, needs_binary


@needs_binary
def test_clients_search_through_cbir_and_by_plain_requests(tmp_path: Path):
    server = QdrantProcess(tmp_path).start()
    try:
        with (
            closing(ServedEngine(Server(address(server.url)), tmp_path)) as engine,
            closing(engine.create(NAME, METADATA)) as collection,
        ):
            fill(collection, np.random.default_rng(0).random((300, 4), np.float32))
        np.save(tmp_path / "queries.npy", np.eye(4, dtype=np.float32))
        seen = [clients(3, server.url, tmp_path / "queries.npy", bare=bare, seconds=0.3) for bare in (False, True)]
    finally:
        server.kill()
    for each in seen:
        assert len(each.times) >= 3
        assert 0 < each.percentile(50) <= each.percentile(99) < 5_000  # milliseconds
        assert sum(each.times) <= 3 * each.seconds


def test_a_hit_is_right_if_it_is_no_farther_than_the_tenth_of_what_was_stored():
    vectors = np.random.default_rng(0).random((2 * BLOCK, 4), np.float32)
    query = np.full((1, 4), 0.5, np.float32)
    tenth = tenths(vectors, query)
    first, both = (np.sort(np.linalg.norm(vectors[:count] - query, axis=1)) for count in (BLOCK, 2 * BLOCK))
    np.testing.assert_allclose(np.sqrt(tenth[:, 0]), [first[HITS - 1], both[HITS - 1]], rtol=1e-3)

    play = Play()
    play.stored = [(1.0, BLOCK), (2.0, 2 * BLOCK)]
    asked = Asked(1.5, 0, 0.1, first[:HITS].tolist(), "")
    assert recall(play, asked, tenth) == 1
    assert recall(play, replace(asked, distances=first[1 : HITS + 1].tolist()), tenth) == 1 - 1 / HITS
    assert recall(play, replace(asked, at=2.5), tenth) == np.mean(first[:HITS] <= both[HITS - 1])
    assert recall(play, replace(asked, distances=[]), tenth) == 0
    assert recall(play, replace(asked, at=0.5), tenth) is None
    assert recall(play, replace(asked, problem="away"), tenth) is None


def test_a_sum_of_terms_is_found_again_and_continued():
    sizes = np.array([1e3, 1e4, 1e5, 1e6])

    def cost(n: np.ndarray) -> np.ndarray:
        return 5 + 0.001 * n + 0.0002 * n * np.log(n)

    found = fitted(sizes.tolist(), cost(sizes), ("1", "n", "n log n"), [1e7, 1e9])
    np.testing.assert_allclose(found, cost(np.array([1e7, 1e9])), rtol=1e-6)
    # None is negative: what falls is taken for constant.
    assert fitted([10, 20], np.array([2.0, 1.9]), ("1", "n"), [1_000])[0] == pytest.approx(1.95, rel=0.01)
