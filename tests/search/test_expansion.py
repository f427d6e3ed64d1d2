from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.filter import Where
from cbir.collection.interface import Collection
from cbir.evaluate.ranking import ExactNeighbours
from cbir.search.expansion import expand
from cbir.search.neighbours import CollectionNeighbours
from tests.collection.sample import METADATA, ids


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[tuple[Collection, np.ndarray]]:
    """Thirty points, and their features in the order of their ids."""
    features = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    collection = EmbeddedEngine(tmp_path).create("c", replace(METADATA, dimension=4))
    collection.upsert(ids(30), features, [{"label": row % 2} for row in range(30)])
    yield collection, features
    collection.close()


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40), nearest=st.integers(1, 50), unit=st.booleans())
def test_a_query_becomes_the_average_of_itself_and_its_nearest(seed: int, n: int, nearest: int, unit: bool):
    features = np.random.default_rng(seed).normal(size=(n + 3, 4)).astype(np.float32)
    if unit:
        features /= np.linalg.norm(features, axis=1, keepdims=True)
    queries, database = features[:3], features[3:]
    for query, expanded in zip(queries, expand(ExactNeighbours(database), queries, nearest), strict=True):
        closest = database[np.argsort(np.linalg.norm(database - query, axis=1))[:nearest]]
        mean = np.mean([query, *closest], axis=0)
        np.testing.assert_allclose(expanded, mean / np.linalg.norm(mean) if unit else mean, atol=1e-5)


def of(
    collection: Collection, queries: np.ndarray, where: Where | None = None, own: list[str] | None = None
) -> CollectionNeighbours:
    """A collection as queries find it, exactly."""
    return CollectionNeighbours(
        collection, [{one} for one in own] if own else [set()] * len(queries), where=where, exact=True
    )


def test_a_stored_query_is_no_neighbour_of_itself(stored: tuple[Collection, np.ndarray]):
    database = np.array([[0.0], [1.0], [5.0]], np.float32)
    assert expand(ExactNeighbours(database), database[:1], 1).tolist() == [[0]]
    assert expand(ExactNeighbours(database, [np.array([0])]), database[:1], 1).tolist() == [[0.5]]
    collection, features = stored
    left_out = expand(ExactNeighbours(features, [np.array([4]), np.array([9])]), features[[4, 9]], 3)
    assert not np.allclose(left_out, expand(ExactNeighbours(features), features[[4, 9]], 3))
    own = [ids(30)[4], ids(30)[9]]
    np.testing.assert_allclose(expand(of(collection, left_out, own=own), features[[4, 9]], 3), left_out, atol=1e-6)


def test_a_collection_expands_as_its_features_do(stored: tuple[Collection, np.ndarray]):
    collection, features = stored
    queries = np.random.default_rng(2).normal(size=(5, 4)).astype(np.float32)
    for nearest in (1, 7, 100):
        expected = expand(ExactNeighbours(features), queries, nearest)
        np.testing.assert_allclose(expand(of(collection, queries), queries, nearest), expected, atol=1e-6)
    odd = expand(of(collection, queries, {"label": [1]}), queries, 3)
    np.testing.assert_allclose(odd, expand(ExactNeighbours(features[1::2]), queries, 3), atol=1e-6)
    assert np.array_equal(expand(of(collection, queries, {"label": []}), queries, 3), queries)


def test_a_search_is_of_the_expanded_feature(digits: Path):
    uri = "digits:queries/4"
    with cbir.open("digits") as searcher:
        wide = expand(CollectionNeighbours(searcher.collection, [set()]), searcher.embed_many([uri]), 20)
        assert searcher.search(uri, 5, expand=20) == searcher.collection.search(wide[0], 5)
        assert searcher.search(uri, 5, expand=20) != searcher.search(uri, 5)
        with pytest.raises(cbir.CbirError, match="expand must be at least 0"):
            searcher.search(uri, expand=-1)


def test_an_evaluation_is_of_the_expanded_features(digits: Path):
    plain, expanded = (cbir.evaluate("digits", queries=200, expand=expand) for expand in (0, 20))
    assert expanded.scores.map > plain.scores.map + 0.01
    assert expanded.as_json()["expand"] == 20
    hits = expanded.run
    with cbir.open("digits") as searcher:
        found = searcher.search(str(hits.query_uris[0]), 10, expand=20, exact=True)
    assert [hit.id for hit in found] == hits.exact_ids[0].tolist()
