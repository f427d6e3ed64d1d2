"""Queries that are added and subtracted."""

from pathlib import Path

import numpy as np
import pytest

import cbir
from cbir import Combination, StoredPoint
from cbir.collection.point import Hit
from cbir.search.combination import combined
from cbir.search.query import Term

A, B = "digits:queries/4", "digits:queries/9"


def summed(features: list[list[float]], *weights: float) -> np.ndarray:
    return combined([[Term(weight, "x") for weight in weights]], np.array(features, np.float32))[0]


def test_a_sum_points_where_its_terms_do_and_has_their_mean_length():
    assert summed([[3, 0], [0, 4]], 1, 1) == pytest.approx(np.array([3, 4]) / 5 * 3.5)
    assert summed([[3, 0], [0, 4]], 1, -3) == pytest.approx(np.array([3, -12]) / np.hypot(3, 12) * (3 + 3 * 4) / 4)
    unit = summed([[0.6, 0.8], [1, 0], [0, 1]], 2, -0.5, 1e-9)
    assert np.linalg.norm(unit) == pytest.approx(1)
    assert unit.dtype == np.float32


@pytest.mark.parametrize("scale", [1e-300, 1, 1e300])
def test_only_the_ratios_of_weights_matter(scale: float):
    assert summed([[3, 0], [0, 4]], scale, -2 * scale) == pytest.approx(summed([[3, 0], [0, 4]], 1, -2))


@pytest.mark.parametrize(
    ("features", "weights"),
    [([[0.3, 0.1], [0.3, 0.1]], (1, -1)), ([[0.1, 0.7], [0.3, 2.1]], (3, -1)), ([[0, 0], [0, 0]], (1, 1))],
)
def test_terms_that_cancel_out_are_refused(features: list[list[float]], weights: tuple[float, ...]):
    with pytest.raises(cbir.QueryError, match="cancel out"):
        summed(features, *weights)


def test_single_queries_among_sums_stay_as_they_are():
    features = np.array([[5, 0], [3, 0], [0, 3], [0, 7]], np.float32)
    one = [Term(1, "x")]
    together = combined([one, [*one, *one], one], features)
    assert together == pytest.approx(np.array([[5, 0], [3 / 2**0.5] * 2, [0, 7]]))


def test_a_search_is_of_the_sum(digits: Path):
    with cbir.open("digits") as searcher:
        a, b = searcher.embed_many([A, B])
        total = 2 * a - 0.5 * b
        mean = (2 * np.linalg.norm(a) + 0.5 * np.linalg.norm(b)) / 2.5
        expected = searcher.search(total * mean / np.linalg.norm(total), 5)

        def same(found: list[Hit]) -> bool:
            near = np.allclose([hit.distance for hit in found], [hit.distance for hit in expected], atol=1e-5)
            return near and [hit.id for hit in found] == [hit.id for hit in expected]

        assert same(searcher.search(like=[(2, A)], unlike=[(0.5, B)], k=5))
        assert same(searcher.search(Combination([(2, A), (-0.5, B)]), 5))
        assert same(searcher.search(like=[(4, a)], unlike=[b], k=5))
        assert not same(searcher.search(like=[(2, A), (0.5, B)], k=5))
        assert searcher.search(like=[(3, A)], k=5) == searcher.search(A, 5)
        batch = searcher.search_many([A, Combination([(2, A), (-0.5, B)]), B], 5, exact=True)
        assert batch[0] == searcher.search(A, 5)
        assert same(batch[1])
        assert batch[2] == searcher.search(B, 5)


@pytest.mark.parametrize("options", [{}, {"expand": 3}, {"rerank": True}])
def test_stored_points_of_a_sum_are_not_among_its_hits(digits: Path, options: dict):
    with cbir.open("digits") as searcher:
        first, second, third = (hit.id for hit in searcher.search(A, 3))
        like, unlike = [StoredPoint(first), (3, StoredPoint(second))], [(0.1, StoredPoint(third))]
        ids = [hit.id for hit in searcher.search(like=like, unlike=unlike, k=20, **options)]
        assert len(ids) == 20
        assert not {first, second, third} & set(ids)
        vectors = searcher.collection.vectors([first, second, third])
        ids = [hit.id for hit in searcher.search(like=[vectors[first], (3, vectors[second])], k=20, **options)]
        assert {first, second} <= set(ids)


def test_what_is_no_sum_is_refused(digits: Path):
    nested = Combination([(1, A)])
    with cbir.open("digits") as searcher:
        for asked, message in (
            ({"like": A}, "put a single one into a list"),
            ({"like": [A], "unlike": np.zeros(128)}, "put a single one into a list"),
            ({"query": A, "like": [B]}, "either a query, or like and unlike"),
            ({}, "begins with what the hits should be like"),
            ({"unlike": [A]}, "begins with what the hits should be like"),
            ({"like": [(float("nan"), A)]}, "finite number other than 0, not nan"),
            ({"like": [(True, A)]}, "a weight is a number, not True"),
            ({"like": [("2", A)]}, "a weight is a number, not '2'"),
            ({"like": [A], "unlike": [(-1, B)]}, "goes into unlike"),
            ({"like": [(1, A, B)]}, "pairs of a weight and a query"),
            ({"like": [A, 7]}, "not a int"),
            ({"like": [nested, A]}, "cannot be a term of another"),
            ({"like": [A, np.zeros(128)], "invert": True}, "invert is for pictures"),
            ({"like": [A], "unlike": [A]}, "cancel out"),
        ):
            with pytest.raises(cbir.QueryError, match=message):
                searcher.search(**asked)  # type: ignore[arg-type]
        with pytest.raises(cbir.QueryError, match="into a list"):
            searcher.search_many(nested)  # type: ignore[arg-type]
        with pytest.raises(cbir.QueryError, match="no short code"):
            searcher.search(like=[A, B], prune=1)
        with pytest.warns(cbir.QueryWarning, match="light background"):  # each term is inverted
            searcher.search(like=[A, B], invert=True)
