from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.interface import Collection
from cbir.evaluate.ranking import ExactNeighbours, RankedBlock, rank, reordered
from cbir.search.neighbours import CollectionNeighbours, Ranking
from cbir.search.options import RankingOptions
from cbir.search.rerank import DEPTH, distances, rerank
from tests.collection.sample import METADATA, ids


def as_in_the_paper(features: np.ndarray) -> np.ndarray:
    """The paper's sections 3.2 to 3.5 with sets and loops; the first feature is the query."""
    n = len(features)
    squared = ((features[:, None].astype(float) - features) ** 2).sum(axis=2)
    order = np.argsort(squared, axis=1, kind="stable")
    scaled = squared / squared.max(axis=1, keepdims=True)

    def reciprocal(i: int, k: int) -> set[int]:
        return {int(j) for j in order[i, : k + 1] if i in order[j, : k + 1]}

    described = np.zeros((n, n))
    for i in range(n):
        wide = reciprocal(i, 20)
        for j in reciprocal(i, 20):
            narrow = reciprocal(j, 10)
            if len(narrow & reciprocal(i, 20)) >= 2 / 3 * len(narrow):
                wide |= narrow
        for j in wide:
            described[i, j] = np.exp(-scaled[i, j])
        described[i] /= described[i].sum()
    described = np.array([described[order[i, :6]].mean(axis=0) for i in range(n)])
    both, either = np.minimum(described[0], described), np.maximum(described[0], described)
    return (0.7 * (1 - both.sum(axis=1) / either.sum(axis=1)) + 0.3 * scaled[0])[1:]


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(6, 60), spread=st.floats(0, 5))
def test_distances_equal_a_direct_implementation_of_the_paper(seed: int, n: int, spread: float):
    generator = np.random.default_rng(seed)
    centres = spread * generator.normal(size=(3, 4))
    features = (centres[generator.integers(0, 3, n)] + generator.normal(size=(n, 4))).astype(np.float32)
    np.testing.assert_allclose(distances(features[0], features[1:]), as_in_the_paper(features), atol=1e-4)


def test_hits_of_the_querys_own_cluster_come_before_closer_strangers():
    """Strangers that are nearer than much of the query's own kind go behind it."""
    generator = np.random.default_rng(0)
    query = np.array([1.6, 0, 0, 0])
    own = generator.normal(size=(30, 4))
    strangers = generator.normal([3.5, 0, 0, 0], 0.3, size=(30, 4))
    hits = np.concatenate([strangers, own]).astype(np.float32)
    places = [
        np.argsort(np.argsort(d))[:30].mean()
        for d in (np.linalg.norm(hits - query, axis=1), distances(query.astype(np.float32), hits))
    ]
    assert places[1] > places[0] + 10


@pytest.mark.parametrize("n", [1, 2, 30])
def test_equal_hits_get_equal_distances(n: int):
    for query in (1.0, 3.0):
        near = distances(np.full(4, query, np.float32), np.ones((n, 4), np.float32))
        assert np.isfinite(near).all()
        assert len(set(near.tolist())) == 1


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[tuple[Collection, np.ndarray]]:
    features = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    collection = EmbeddedEngine(tmp_path).create("c", replace(METADATA, dimension=4))
    collection.upsert(ids(300), features, [{}] * 300)
    yield collection, features
    collection.close()


def found(collection: Collection, queries: np.ndarray, k: int) -> list[Ranking[str]]:
    """What an exact search gives."""
    hits = [collection.search(query, k, exact=True) for query in queries]
    return [Ranking([hit.id for hit in some], np.array([hit.distance for hit in some], np.float32)) for some in hits]


def test_only_the_first_are_reordered(stored: tuple[Collection, np.ndarray]):
    collection, features = stored
    rankings = found(collection, features[:3], 120)
    better = rerank(CollectionNeighbours(collection, [set()] * 3), features[:3], rankings, 100)
    for before, after in zip(rankings, better, strict=True):
        assert before.keys[:100] != after.keys[:100]
        assert set(before.keys[:100]) == set(after.keys[:100])
        assert before.keys[100:] == after.keys[100:]
        assert (np.diff(after.distances[:100]) >= 0).all()
        assert np.array_equal(before.distances[100:], after.distances[100:])


def test_a_hit_deleted_since_the_search_is_left_out(stored: tuple[Collection, np.ndarray]):
    collection, features = stored
    (ranking,) = found(collection, features[:1], 20)
    collection.delete([ranking.keys[3]])
    (left,) = rerank(CollectionNeighbours(collection, [set()]), features[:1], [ranking])
    assert set(left.keys) == set(ranking.keys) - {ranking.keys[3]}
    assert len(left.keys) == len(left.distances)


def test_an_evaluation_reranks_as_a_search_does(stored: tuple[Collection, np.ndarray]):
    collection, features = stored
    queries = features[:4] + np.float32(0.1)
    (block,) = rank(queries, features)
    half = RankedBlock(2, block.order[2:], block.distances[2:], block.kept[2:])
    for part in (block, half):
        better = reordered(part, queries, ExactNeighbours(features), RankingOptions(rerank=True))
        asked = queries[part.start :]
        searched = rerank(CollectionNeighbours(collection, [set()] * len(asked)), asked, found(collection, asked, 300))
        all_ids = np.array(ids(300))
        assert [ranking.keys for ranking in searched] == all_ids[better.order].tolist()
        assert np.array_equal(better.distances[:, DEPTH:], part.distances[:, DEPTH:])


def test_a_search_takes_its_few_hits_from_the_many_reranked(digits: Path):
    uri = "digits:queries/4"
    with cbir.open("digits") as searcher:
        many = searcher.search(uri, DEPTH, rerank=True)
        assert searcher.search(uri, 7, rerank=True) == many[:7]
        plain = searcher.search(uri, DEPTH)
        assert many != plain
        # The order is another, the hits and their distances are the same.
        assert sorted(many, key=lambda hit: hit.id) == sorted(plain, key=lambda hit: hit.id)
        assert searcher.search(uri, DEPTH + 5, rerank=True)[:DEPTH] == many
        with pytest.raises(cbir.CbirError, match="at least 1"):
            searcher.search(uri, 0, rerank=True)


def test_an_evaluation_scores_the_better_order(digits: Path):
    plain, better = (cbir.evaluate("digits", queries=80, depths=[10, 1500], rerank=rerank) for rerank in (False, True))
    assert better.scores.map_at[10] > plain.scores.map_at[10]
    assert better.as_json()["rerank"]
    # How much of the exact ranking a search finds is asked of the ranking before.
    assert better.scores.ann_recall_at_10 == plain.scores.ann_recall_at_10 == 1
