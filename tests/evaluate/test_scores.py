import json
from collections.abc import Sequence
from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import label_ranking_average_precision_score

from cbir.evaluate import scores
from cbir.evaluate.run import Run, RunError, pack
from cbir.evaluate.scores import ARTICLE_DEPTHS, SCORES, Means, Rankings, default_depths, lrap, read_scores, score


def make_run(
    relevant: np.ndarray, distances: np.ndarray | None = None, copies: Sequence[int] | None = None, **about: object
) -> Run:
    m, n = relevant.shape
    tied = np.zeros((m, n), bool)
    if distances is not None:
        tied[:, 1:] = distances[:, 1:] == distances[:, :-1]
    kept = min(10, n)
    ids = np.tile(np.array([f"id{i}" for i in range(kept)]), (m, 1))
    near = np.tile(np.arange(kept, dtype=np.float32), (m, 1))
    left_out = np.zeros(m, int) if copies is None else np.array(copies)
    facts = {"seed": 0, **about}
    return Run("c", n, n, pack(relevant), pack(tied), ids, near, ids, near, np.array(["q"] * m), left_out, facts)


@st.composite
def rankings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Relevance, and ascending distances with many ties; some queries have no relevant image."""
    shape = (draw(st.integers(1, 6)), draw(st.integers(2, 30)))
    relevant = draw(arrays.arrays(bool, shape)) & draw(arrays.arrays(bool, (shape[0], 1)))
    steps = draw(arrays.arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.0, 1.0])))
    return relevant, steps.cumsum(axis=1)


@given(rankings())
def test_lrap_equals_scikit_learn_at_every_depth(ranking: tuple[np.ndarray, np.ndarray]):
    relevant, distances = ranking
    depths = range(2, relevant.shape[1] + 1)  # of one label, scikit-learn makes no ranking
    scores = score(make_run(relevant, distances), list(depths))
    for n in depths:
        expected = label_ranking_average_precision_score(relevant[:, :n], -distances[:, :n])
        assert scores.lrap[n] == pytest.approx(expected, abs=1e-9)


@given(rankings())
def test_map_precision_and_recall_equal_their_definitions(ranking: tuple[np.ndarray, np.ndarray]):
    relevant, distances = ranking
    m, n = relevant.shape
    scores = score(make_run(relevant, distances), [1, n])
    for depth in (1, n):
        found = relevant[:, :depth].sum(axis=1)
        assert scores.precision_at[depth] == pytest.approx(np.mean(found / depth))
        everything = relevant.sum(axis=1)
        recalls = [f / r if r else 0.0 for f, r in zip(found, everything, strict=True)]
        assert scores.recall_at[depth] == pytest.approx(np.mean(recalls))
        without = (found == 0).mean()
        assert scores.lrap[depth] - scores.map_at[depth] == pytest.approx(without)
    assert scores.map == scores.map_at[n]
    assert scores.queries == m


@given(rankings())
def test_what_can_be_answered_is_scored_as_if_nothing_else_had_been_asked(ranking: tuple[np.ndarray, np.ndarray]):
    relevant, distances = ranking
    m, n = relevant.shape
    some = relevant.any(axis=1)
    scores = score(make_run(relevant, distances), [1, n])
    assert (scores.queries, scores.without_relevant) == (m, (~some).sum())
    if not some.any():
        assert scores.answerable is None
        assert scores.parts == (scores,)
        return
    alone = score(make_run(relevant[some], distances[some]), [1, n])
    expected = {field.name: getattr(alone, field.name) for field in fields(Means)}
    assert vars(scores.answerable) == expected
    assert scores.parts == ((scores,) if some.all() else (scores, scores.answerable))


def test_both_numbers_are_told_where_some_queries_cannot_be_answered():
    """As the issue has it: 12 of 30 are of classes of one picture."""
    relevant = np.zeros((30, 4), bool)
    relevant[:18, 1] = True
    scores = score(make_run(relevant), [4])
    assert (scores.map, scores.answerable.map) == (pytest.approx(0.3), 0.5)
    assert (scores.lrap[4], scores.answerable.lrap[4]) == (pytest.approx(0.7), 0.5)
    assert next(iter(scores.summary())) == "mAP 0.300 (0.500 of those that can be answered)"
    assert [scores.whose(part) for part in scores.parts] == [
        "all 30 queries",
        "the 18 queries of 30 that can be answered",
    ]


def test_one_query_is_told_as_one():
    one = score(make_run(np.array([[True]])))
    assert one.whose(one) == "all 1 query"
    some = score(make_run(np.array([[True], [False]])))
    assert some.whose(some.parts[1]) == "the 1 query of 2 that can be answered"


def test_copies_that_were_left_out_are_counted():
    scores = score(make_run(np.ones((3, 4), bool), copies=[2, 0, 1]))
    assert (scores.with_copies, scores.copies_left_out) == (2, 3)


def test_seven_one_seven_scores_five_sixths():
    run = make_run(np.array([[True, False, True]]))
    scores = score(run, [1, 2, 3])
    assert scores.lrap == {1: 1.0, 2: 1.0, 3: pytest.approx(5 / 6)}
    assert scores.map == pytest.approx(5 / 6)


def test_a_wrong_nearest_neighbour_scores_one_in_lrap_and_zero_in_map():
    scores = score(make_run(np.array([[False, True]])), [1])
    assert (scores.lrap[1], scores.map_at[1], scores.precision_at[1]) == (1.0, 0.0, 0.0)


def test_blocks_of_queries_give_the_same(monkeypatch):
    relevant = np.random.default_rng(0).random((20, 50)) < 0.3
    whole = score(make_run(relevant))
    monkeypatch.setattr(scores, "_BLOCK_VALUES", 150)
    assert score(make_run(relevant)) == whole


def test_a_cut_group_of_ties_counts_what_is_left_of_the_cut():
    relevant = np.array([[False, True, True, False]])
    tied = np.array([[False, True, True, True]])
    assert lrap(Rankings(relevant, tied, [2, 4]))[0].tolist() == [1 / 2, 2 / 4]


def test_each_score_is_an_attribute_a_curve_and_a_line():
    made = score(make_run(np.array([[True, False, True], [False, False, True]])), [2, 3])
    assert list(made.curves()) == ["LRAP", "mAP@n", "precision@n", "recall@n"]
    assert made.curves()["precision@n"] == {n: made.precision_at[n] for n in (2, 3)}
    assert list(made.summary())[:2] == ["mAP 0.583", "precision@1 0.500"]
    counts = {"queries", "without_relevant", "answerable", "with_copies", "copies_left_out"}
    assert {*vars(made)} == {*SCORES, *counts}


def test_default_depths_are_the_articles_up_to_the_database_size():
    assert len(ARTICLE_DEPTHS) == 23
    assert default_depths(60_000) == list(ARTICLE_DEPTHS)
    assert default_depths(320) == [10, 50, 100, 200, 300, 320]
    assert default_depths(3) == [3]
    assert default_depths(99_999) == [*ARTICLE_DEPTHS, 99_999]
    assert default_depths(1_200_000)[23:] == [100_000, 200_000, 500_000, 1_000_000, 1_200_000]


def test_depths_beyond_the_database_are_cut_and_below_one_refused():
    run = make_run(np.array([[True, False, True]]))
    assert list(score(run, [2, 99]).lrap) == [2, 3]
    with pytest.raises(RunError, match="at least 1"):
        score(run, [0])


def test_served_recall_counts_what_qdrant_missed():
    run = make_run(np.ones((2, 20), bool))
    served = run.served_ids.copy()
    served[0, :5] = "elsewhere"
    distances = run.served_distances.copy()
    distances[0, :5] = 99
    missed = Run(**{**vars(run), "served_ids": served, "served_distances": distances})
    assert score(run).ann_recall_at_10 == 1
    assert score(missed).ann_recall_at_10 == 0.75
    # Another image at the same distance is as good.
    tie = Run(**{**vars(run), "served_ids": served})
    assert score(tie).ann_recall_at_10 == 1


def test_served_recall_counts_only_what_there_is_to_serve():
    """Of three ranked images two are copies that were left out, and one stays; then none."""
    run = make_run(np.array([[True, False, False]]))
    exact, far = np.array([["id0", "", ""]]), np.array([[0.5, np.inf, np.inf]], np.float32)
    facts = {**vars(run), "exact_ids": exact, "exact_distances": far, "served_distances": far}
    assert score(Run(**{**facts, "served_ids": exact})).ann_recall_at_10 == 1
    nothing = np.array([["", "", ""]])
    beyond = np.full((1, 3), np.inf, np.float32)
    missed = Run(**{**facts, "served_ids": nothing, "served_distances": beyond})
    assert score(missed).ann_recall_at_10 == 0
    none = {"exact_ids": nothing, "exact_distances": beyond, "served_ids": nothing, "served_distances": beyond}
    assert score(Run(**{**facts, **none})).ann_recall_at_10 == 1
    # No more than all of it, though another one is as near.
    more = {
        "served_ids": np.array([["id0", "id7", ""]]),
        "served_distances": np.array([[0.5, 0.5, np.inf]], np.float32),
    }
    assert score(Run(**{**facts, **more})).ann_recall_at_10 == 1
    nothing_kept = {
        name: facts[name][:, :0] for name in ("exact_ids", "exact_distances", "served_ids", "served_distances")
    }
    assert score(Run(**{**facts, **nothing_kept})).ann_recall_at_10 == 1


@pytest.mark.parametrize(("farther", "share"), [(1 + 2e-6, 1.0), (1.01, 0.5), (1.5, 0.5)])
def test_what_is_as_far_as_the_last_is_as_good_but_for_rounding(farther: float, share: float):
    run = make_run(np.ones((1, 2), bool))
    served = {
        "served_ids": np.array([["id0", "elsewhere"]]),
        "served_distances": np.array(
            [[9, farther]], np.float32
        ),  # what has the right id counts, however far it is said
    }
    assert score(Run(**{**vars(run), **served})).ann_recall_at_10 == share


def test_rankings_that_nothing_was_served_for_missed_nothing():
    rankings = Rankings(np.ones((3, 2), bool), np.zeros((3, 2), bool), [1])
    assert SCORES["ann_recall_at_10"].measure(rankings).tolist() == [1, 1, 1]


@pytest.mark.parametrize("relevant", [[[True, False]], [[True, False], [False, False]], [[False, False]]])
def test_scores_are_read_as_they_were_stored(relevant: list[list[bool]]):
    scores = score(make_run(np.array(relevant), copies=[1] * len(relevant)), [1, 2])
    assert read_scores(json.loads(json.dumps(asdict(scores)))) == scores
