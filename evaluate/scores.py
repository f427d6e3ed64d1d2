"""Rankings become scores: LRAP as the article has it, and the field's measures beside it.

In: a stored run and depths. Out: means over the queries. Nothing is searched.

Measures, for one query of R relevant images in the database and a ranking cut
at depth n (ties share the rank of the last of them, as scikit-learn has it):

- LRAP@n: mean, over the relevant images among the n, of the precision at each
  one's rank; 1.0 if there is none among the n. Of [7, 1, 7] for a query 7:
  (1/1 + 2/3) / 2 = 5/6. As `sklearn.metrics.label_ranking_average_precision_score`.
- mAP@n: the same with 0 if there is none among the n; `map` over all ranks.
  Divided by the relevant images found within n, as in the hashing literature.
- precision@n: relevant among the n, divided by n.
- recall@n: relevant among the n, divided by R (0 if R is 0).
- ann_recall@10: how many of the 10 closest by exact ranking Qdrant served.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cbir.evaluate.run import Run, RunError

#: The depths of the article, for a database of 60,000.
ARTICLE_DEPTHS = (
    *(10, 50, 100, 200, 300, 400, 500, 750),
    *range(1_000, 10_000, 1_000),
    *range(10_000, 60_001, 10_000),
)
#: Query rankings unpacked at once, in values (float64: 16 MB a table).
_BLOCK_VALUES = 2_000_000


@dataclass(frozen=True)
class Scores:
    """Means over the queries; the keys of the dicts are depths.

    `without_relevant` counts the queries that no stored image is relevant to:
    LRAP gives them 1, the others 0.
    """

    queries: int
    without_relevant: int
    lrap: dict[int, float]
    map: float
    map_at: dict[int, float]
    precision_at: dict[int, float]
    recall_at: dict[int, float]
    ann_recall_at_10: float


def default_depths(ranks: int) -> list[int]:
    """Return the article's depths that fit, and the whole ranking."""
    return sorted({*(depth for depth in ARTICLE_DEPTHS if depth <= ranks), ranks})


def check_depths(depths: Iterable[int]) -> None:
    """Refuse a depth below 1."""
    if any(depth < 1 for depth in depths):
        raise RunError("a depth must be at least 1")


def score(run: Run, depths: Sequence[int] | None = None) -> Scores:
    """Score a run.

    Parameters
    ----------
    run : Run
    depths : sequence of int, optional
        The article's by default; deeper than the run are cut to its ranks.

    Returns
    -------
    Scores

    Raises
    ------
    RunError
        A run without queries, or a depth below 1.
    """
    if not len(run):
        raise RunError("the run holds no queries")
    check_depths(depths or ())
    wanted = sorted({min(d, run.ranks) for d in depths}) if depths else default_depths(run.ranks)
    measured = sorted({*wanted, 1, min(10, run.ranks), run.ranks})
    block = max(1, _BLOCK_VALUES // run.ranks)
    tables = [ranking_scores(*run.bits(start, start + block), measured) for start in range(0, len(run), block)]
    lrap, ap, precision, recall = (np.concatenate(parts).mean(axis=0) for parts in zip(*tables, strict=True))

    def at(means: np.ndarray, keys: Sequence[int]) -> dict[int, float]:
        return {depth: float(means[measured.index(depth)]) for depth in keys}

    shallow = sorted({1, min(10, run.ranks), *wanted})
    return Scores(
        queries=len(run),
        without_relevant=int((~run.relevant.any(axis=1)).sum()),
        lrap=at(lrap, wanted),
        map=float(ap[-1]),
        map_at=at(ap, wanted),
        precision_at=at(precision, shallow),
        recall_at=at(recall, shallow),
        ann_recall_at_10=served_recall(run),
    )


def ranking_scores(
    relevant: np.ndarray, tied: np.ndarray, depths: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Score rankings at several depths in one pass.

    Parameters
    ----------
    relevant : ndarray of bool, shape (m, n)
        The image at this rank is relevant.
    tied : ndarray of bool, shape (m, n)
        It has the same distance as the one before.
    depths : sequence of int
        Ascending, each from 1 to n.

    Returns
    -------
    lrap, average_precision, precision, recall : ndarray of float64, each (m, len(depths))
    """
    m, n = relevant.shape
    ranks = np.arange(n)
    found = relevant.cumsum(axis=1, dtype=np.float64)
    # First and last rank of the group of equal distances that each rank belongs to.
    first = np.maximum.accumulate(np.where(tied, 0, ranks), axis=1)
    ends = np.column_stack([~tied[:, 1:], np.ones((m, 1), bool)])
    last = np.minimum.accumulate(np.where(ends, ranks, n)[:, ::-1], axis=1)[:, ::-1]
    precision_at_last = np.take_along_axis(found, last, axis=1) / (last + 1)
    credit = (relevant * precision_at_last).cumsum(axis=1)

    at = np.asarray(depths) - 1
    found_at = found[:, at]
    # The group that the depth cuts counts with the rank and the relevant images left of the cut.
    before = first[:, at] - 1
    whole = before >= 0
    rows = np.arange(m)[:, None]
    credit_before = np.where(whole, credit[rows, before], 0.0)
    found_before = np.where(whole, found[rows, before], 0.0)
    total = credit_before + (found_at - found_before) * found_at / np.asarray(depths)
    average_precision = np.divide(total, found_at, out=np.zeros_like(total), where=found_at > 0)
    lrap = np.where(found_at > 0, average_precision, 1.0)
    precision = found_at / np.asarray(depths)
    everything = found[:, -1:]
    recall = np.divide(found_at, everything, out=np.zeros_like(found_at), where=everything > 0)
    return lrap, average_precision, precision, recall


def served_recall(run: Run) -> float:
    """Return the share of the 10 closest that was served, counting an equally distant image as the same."""
    if not run.exact_ids.size:
        return 1.0
    shares = []
    for exact, distances, served, served_distances in zip(
        run.exact_ids, run.exact_distances, run.served_ids, run.served_distances, strict=True
    ):
        as_far = served_distances <= distances[-1] * (1 + 1e-5)
        shares.append((np.isin(served, exact) | as_far).sum() / len(exact))
    return float(np.mean(np.minimum(shares, 1.0)))
