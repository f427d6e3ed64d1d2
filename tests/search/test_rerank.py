from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.interface import Collection, Hit
from cbir.evaluate.ranking import RankedBlock, rank
from cbir.evaluate.refine import rerank_block
from cbir.search.rerank import DEPTH, distances, rerank_hits
from tests.collection.test_contract import METADATA, ids


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


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(6, 60), spread=st.floats(0, 5))
def test_distances_are_the_papers(seed: int, n: int, spread: float):
    generator = np.random.default_rng(seed)
    centres = spread * generator.normal(size=(3, 4))
    features = (centres[generator.integers(0, 3, n)] + generator.normal(size=(n, 4))).astype(np.float32)
    np.testing.assert_allclose(distances(features[0], features[1:]), as_in_the_paper(features), atol=1e-4)


def test_company_counts_more_than_closeness():
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
def test_hits_that_are_all_the_same_are_all_as_near(n: int):
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


def test_only_the_first_are_reordered_and_keep_their_distances(stored: tuple[Collection, np.ndarray]):
    collection, features = stored
    found = collection.search_batch(features[:3], 120, exact=True)
    better = rerank_hits(collection, features[:3], found, 100)
    for before, after in zip(found, better, strict=True):
        assert before[:100] != after[:100]
        assert set(map(key, before[:100])) == set(map(key, after[:100]))
        assert before[100:] == after[100:]


def key(hit: Hit) -> tuple[str, float]:
    return hit.id, hit.distance


def test_a_hit_deleted_meanwhile_is_left_out(stored: tuple[Collection, np.ndarray]):
    collection, features = stored
    found = collection.search_batch(features[:1], 20, exact=True)
    collection.delete([found[0][3].id])
    left = rerank_hits(collection, features[:1], found)[0]
    assert {hit.id for hit in left} == {hit.id for hit in found[0]} - {found[0][3].id}


def test_an_evaluation_reranks_as_a_search_does(stored: tuple[Collection, np.ndarray]):
    collection, features = stored
    queries = features[:4] + np.float32(0.1)
    (block,) = rank(queries, features)
    half = RankedBlock(2, block.order[2:], block.distances[2:])
    for part, better in (
        (block, rerank_block(block, queries, features)),
        (half, rerank_block(half, queries, features)),
    ):
        asked = queries[part.start :]
        found = rerank_hits(collection, asked, collection.search_batch(asked, 300, exact=True))
        all_ids = np.array(ids(300))
        assert [[hit.id for hit in hits] for hits in found] == all_ids[better.order].tolist()
        assert np.array_equal(better.distances[:, DEPTH:], part.distances[:, DEPTH:])


def test_a_search_takes_its_few_hits_from_the_many_reranked(digits: Path):
    uri = "digits:queries/4"
    with cbir.open("digits") as searcher:
        many = searcher.search(uri, DEPTH, rerank=True)
        assert searcher.search(uri, 7, rerank=True) == many[:7]
        assert many != searcher.search(uri, DEPTH)
        assert searcher.search(uri, DEPTH + 5, rerank=True)[:DEPTH] == many
        with pytest.raises(cbir.CbirError, match="at least 1"):
            searcher.search(uri, 0, rerank=True)


def test_an_evaluation_scores_the_better_order(digits: Path):
    plain, better = (cbir.evaluate("digits", queries=200, depths=[10, 1500], rerank=rerank) for rerank in (False, True))
    assert better.scores.map_at[10] > plain.scores.map_at[10]
    assert better.as_json()["rerank"]
    # How much of the exact ranking a search finds is asked of the ranking before.
    assert better.scores.ann_recall_at_10 == plain.scores.ann_recall_at_10 == 1
