import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import label_ranking_average_precision_score

from cbir.evaluate import scores
from cbir.evaluate.run import Run, RunError, pack
from cbir.evaluate.scores import ARTICLE_DEPTHS, SCORES, Rankings, default_depths, lrap, score


def make_run(relevant: np.ndarray, distances: np.ndarray | None = None) -> Run:
    m, n = relevant.shape
    tied = np.zeros((m, n), bool)
    if distances is not None:
        tied[:, 1:] = distances[:, 1:] == distances[:, :-1]
    kept = min(10, n)
    ids = np.tile(np.array([f"id{i}" for i in range(kept)]), (m, 1))
    near = np.tile(np.arange(kept, dtype=np.float32), (m, 1))
    return Run("c", n, n, pack(relevant), pack(tied), ids, near, ids, near, np.array(["q"] * m), {"seed": 0})


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
    assert {*vars(made)} == {*SCORES, "queries", "without_relevant"}


def test_default_depths_are_the_articles_up_to_the_database_size():
    assert len(ARTICLE_DEPTHS) == 23
    assert default_depths(60_000) == list(ARTICLE_DEPTHS)
    assert default_depths(320) == [10, 50, 100, 200, 300, 320]
    assert default_depths(3) == [3]


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
