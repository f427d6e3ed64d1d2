from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cbir.core.errors import CbirError
from cbir.evaluate import features as features_module
from cbir.evaluate import ranking
from cbir.evaluate.features import Features
from cbir.evaluate.ranking import ExactNeighbours, RankedBlock, near, rank, reordered
from cbir.search.neighbours import Ranking
from cbir.search.options import RankingOptions
from cbir.search.rerank import rerank

# Few different values: many ties.
VALUES = st.sampled_from([0.0, 0.5, 1.0, 3.0])


@st.composite
def features(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    d = draw(st.integers(1, 4))
    return (
        draw(arrays.arrays(np.float32, (draw(st.integers(1, 9)), d), elements=VALUES)),
        draw(arrays.arrays(np.float32, (draw(st.integers(2, 40)), d), elements=VALUES)),
    )


def brute_force(queries: np.ndarray, database: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances = np.linalg.norm(queries[:, None].astype(float) - database[None], axis=2)
    order = np.argsort(distances, axis=1, kind="stable")
    return order, np.take_along_axis(distances, order, axis=1)


@given(features())
def test_ranking_equals_brute_force_with_ties_in_the_order_of_rows(pair: tuple[np.ndarray, np.ndarray]):
    queries, database = pair
    (block,) = rank(queries, database)
    order, distances = brute_force(queries, database)
    assert np.array_equal(block.order, order)
    np.testing.assert_allclose(block.distances, distances, rtol=1e-6, atol=1e-6)


@given(features(), st.data())
def test_a_query_is_left_out_of_its_own_ranking(pair: tuple[np.ndarray, np.ndarray], data: st.DataObject):
    _, database = pair
    own = np.array(data.draw(st.lists(st.integers(0, len(database) - 1), min_size=1, max_size=5)))
    (block,) = rank(database[own], database, list(own[:, None]))
    order, _ = brute_force(database[own], database)
    assert [row.tolist() for row in block.order] == [
        [index for index in full if index != row] for full, row in zip(order, own, strict=True)
    ]
    assert block.counts.all()


@given(features(), st.data())
def test_what_is_left_out_stands_behind_what_counts(pair: tuple[np.ndarray, np.ndarray], data: st.DataObject):
    queries, database = pair
    rows = st.sets(st.integers(0, len(database) - 1), min_size=1)
    out = [np.array(sorted(data.draw(rows))) for _ in queries]
    (block,) = rank(queries, database, out)
    order, _ = brute_force(queries, database)
    kept = [[row for row in full if row not in left] for full, left in zip(order.tolist(), out, strict=True)]
    assert block.order.shape == (len(queries), len(database) - 1)
    assert [row[counts].tolist() for row, counts in zip(block.order, block.counts, strict=True)] == kept
    assert np.isinf(block.distances[~block.counts]).all()
    neighbours = ExactNeighbours(database, out)
    assert neighbours.nearest(queries, 3) == [row[:3] for row in kept]
    options = RankingOptions(rerank=True)
    again = reordered(block, queries, neighbours, options)
    assert [sorted(row[counts]) for row, counts in zip(again.order, again.counts, strict=True)] == list(
        map(sorted, kept)
    )


def near_rows(queries: np.ndarray, database: np.ndarray, share: float) -> list[list[int]]:
    """The rows near each query."""
    found: list[list[int]] = [[] for _ in queries]
    for numbers, rows in near(queries, database, share):
        for number, row in zip(numbers, rows, strict=True):
            found[number].append(row)
    return found


@given(features(), st.data())
def test_near_rows_are_those_within_a_share_of_the_length(pair: tuple[np.ndarray, np.ndarray], data: st.DataObject):
    _, database = pair
    asked = np.array(data.draw(st.lists(st.integers(0, len(database) - 1), min_size=1, max_size=5)))
    share = data.draw(st.sampled_from([0.0, 0.01, 0.9]))
    for row, found in zip(asked, near_rows(database[asked], database, share), strict=True):
        far = np.linalg.norm(database[row].astype(float) - database, axis=1)
        within = far <= share * np.linalg.norm(database[row].astype(float))
        assert found == np.flatnonzero(within).tolist()
        assert row in found


@given(features(), st.sampled_from([1, 7, 100]), st.sampled_from([1, 9, 1000]), st.booleans())
def test_blocks_of_features_in_a_file_rank_as_one_sort_of_all(
    pair: tuple[np.ndarray, np.ndarray], block: int, tile: int, leave_out: bool
):
    """Order, distances and ties are those of one sort of the whole, to the last bit."""
    queries, database = pair
    out = [np.array([number % len(database)]) for number in range(len(queries))] if leave_out else None
    distances = np.sqrt(np.square(queries[:, None].astype(float) - database[None]).sum(axis=2)).astype(np.float32)
    for row, left in enumerate(out or ()):
        distances[row, left] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, : len(database) - leave_out]
    with pytest.MonkeyPatch.context() as patch, closing(Features(database.shape[1])) as stored:
        patch.setattr(ranking, "_BLOCK_VALUES", block)
        patch.setattr(ranking, "_TILE_VALUES", tile)
        for start in range(0, len(database), 5):
            stored.append(database[start : start + 5])
        blocks = list(rank(queries, stored, out))
    assert np.array_equal(np.concatenate([each.order for each in blocks]), order)
    assert np.array_equal(
        np.concatenate([each.distances for each in blocks]), np.take_along_axis(distances, order, axis=1)
    )


def test_features_that_leave_memory_are_read_as_those_that_stay(monkeypatch: pytest.MonkeyPatch):
    rows = np.random.default_rng(0).random((100, 7), np.float32)
    for held in (100, 100_000):
        monkeypatch.setattr(features_module, "_HELD", held)
        with closing(Features(7)) as stored:
            for start in range(0, 100, 30):
                stored.append(rows[start : start + 30])
                assert np.array_equal(stored[np.array([start, 0])], rows[[start, 0]])
            assert stored.shape == (100, 7)
            assert np.array_equal(stored[20:1000], rows[20:])
            assert stored[np.empty(0, np.int64)].shape == (0, 7)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(features_module, "_HELD", 1)
    with closing(Features(2)) as stored:
        stored.append(np.zeros((1, 2), np.float32))
        stored.close()
        stored._file = Path("/dev/full").open("wb", buffering=0)  # type: ignore[assignment]  # noqa: SIM115
        with pytest.raises(CbirError, match=r"MB of features.*free some space, or name another place with TMPDIR"):
            stored.append(np.zeros((10_000, 2), np.float32))


def test_blocks_give_the_same_as_one(monkeypatch):
    generator = np.random.default_rng(0)
    queries, database = generator.random((10, 8), np.float32), generator.random((50, 8), np.float32)
    (whole,) = rank(queries, database)
    monkeypatch.setattr(ranking, "_BLOCK_VALUES", 150)
    blocks = list(rank(queries, database))
    assert [block.start for block in blocks] == [0, 3, 6, 9]
    assert np.array_equal(np.concatenate([block.order for block in blocks]), whole.order)


def test_blocks_of_near_rows_give_the_same_as_one(monkeypatch):
    generator = np.random.default_rng(0)
    database = generator.random((50, 8), np.float32)
    rows = generator.permutation(50)[:10]
    whole = near_rows(database[rows], database, 0.4)
    assert any(len(found) > 1 for found in whole)
    for values in (150, 1):
        monkeypatch.setattr(ranking, "_TILE_VALUES", values)
        assert near_rows(database[rows], database, 0.4) == whole


def test_equal_features_are_told_a_bounded_number_of_pairs_at_a_time(monkeypatch):
    """Of 300 x 3,000 pairs, which are all near."""
    monkeypatch.setattr(ranking, "_BLOCK_VALUES", 9_000)
    database = np.ones((3_000, 4), np.float32)
    pairs = [len(numbers) for numbers, _ in near(database[:300], database, 0.01)]
    assert (sum(pairs), max(pairs)) == (900_000, 9_000)


def test_a_row_is_at_no_distance_from_itself():
    """What is left after cancelling is rounding."""
    database = (100 * np.random.default_rng(0).random((300, 96))).astype(np.float32)
    (block,) = rank(database, database)
    assert block.order[:, 0].tolist() == list(range(300))
    assert not block.distances[:, 0].any()
    assert block.distances[:, 1].all()


def test_reordered_rankings_are_those_of_the_steps_after_a_search():
    generator = np.random.default_rng(0)
    queries, database = generator.random((4, 3), np.float32), generator.random((30, 3), np.float32)
    (whole,) = rank(queries, database)
    block = RankedBlock(2, whole.order[2:], whole.distances[2:], whole.kept[2:])
    neighbours = ExactNeighbours(database)
    again = reordered(block, queries, neighbours, RankingOptions(rerank=True))
    rankings = [Ranking(keys.tolist(), far) for keys, far in zip(block.order, block.distances, strict=True)]
    expected = rerank(neighbours, queries[2:], rankings)
    assert again.order.tolist() == [ranking.keys for ranking in expected] != block.order.tolist()
    assert again.distances.tolist() == [ranking.distances.tolist() for ranking in expected]
    assert (again.start, again.kept.tolist()) == (2, [30, 30])
    assert reordered(block, queries, neighbours, RankingOptions()) is block


def test_equal_features_are_equally_far_also_when_large():
    generator = np.random.default_rng(1)
    row = (100 * generator.random((1, 128))).astype(np.float32)
    database = np.concatenate([row, row + 1, row, row, row + 1])
    (block,) = rank(row, database)
    assert block.order.tolist() == [[0, 2, 3, 1, 4]]
    assert block.distances[0, :3].tolist() == [0, 0, 0]
    assert block.distances[0, 3] == block.distances[0, 4]
