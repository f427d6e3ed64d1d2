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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np

from cbir.core.words import counted
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
class Rankings:
    """Rankings of m queries, prepared for the scores.

    Attributes
    ----------
    relevant : ndarray of bool, shape (m, n)
        The image at this rank is relevant.
    tied : ndarray of bool, shape (m, n)
        It has the same distance as the one before.
    depths : sequence of int
        Ascending, each from 1 to n.
    served : ndarray of float, shape (m,), optional
        Share of the 10 closest that Qdrant served.
    """

    relevant: np.ndarray
    tied: np.ndarray
    depths: Sequence[int]
    served: np.ndarray | None = None

    @cached_property
    def found(self) -> np.ndarray:
        """Relevant images up to each rank, (m, n) float64."""
        return self.relevant.cumsum(axis=1, dtype=np.float64)

    @cached_property
    def found_at(self) -> np.ndarray:
        """Relevant images up to each depth, (m, depths) float64."""
        return self.found[:, np.asarray(self.depths) - 1]

    @cached_property
    def average_precision(self) -> np.ndarray:
        """Mean of the precisions at the relevant images up to each depth, (m, depths) float64; 0 if there is none."""
        m, n = self.relevant.shape
        ranks = np.arange(n)
        # First and last rank of the group of equal distances that each rank belongs to.
        first = np.maximum.accumulate(np.where(self.tied, 0, ranks), axis=1)
        ends = np.column_stack([~self.tied[:, 1:], np.ones((m, 1), bool)])
        last = np.minimum.accumulate(np.where(ends, ranks, n)[:, ::-1], axis=1)[:, ::-1]
        precision_at_last = np.take_along_axis(self.found, last, axis=1) / (last + 1)
        credit = (self.relevant * precision_at_last).cumsum(axis=1)

        # The group that the depth cuts counts with the rank and the relevant images left of the cut.
        depths = np.asarray(self.depths)
        before = first[:, depths - 1] - 1
        inside = before >= 0
        rows = np.arange(m)[:, None]
        credit_before = np.where(inside, credit[rows, before], 0.0)
        found_before = np.where(inside, self.found[rows, before], 0.0)
        total = credit_before + (self.found_at - found_before) * self.found_at / depths
        return np.divide(total, self.found_at, out=np.zeros_like(total), where=self.found_at > 0)


def lrap(rankings: Rankings) -> np.ndarray:
    """Return LRAP of each query at each depth, (m, depths)."""
    return np.where(rankings.found_at > 0, rankings.average_precision, 1.0)


def precision(rankings: Rankings) -> np.ndarray:
    """Return the share of relevant images among those up to each depth, (m, depths)."""
    return rankings.found_at / np.asarray(rankings.depths)


def recall(rankings: Rankings) -> np.ndarray:
    """Return the share of a query's relevant images that is among those up to each depth, (m, depths)."""
    everything = rankings.found[:, -1:]
    return np.divide(rankings.found_at, everything, out=np.zeros_like(rankings.found_at), where=everything > 0)


def served(rankings: Rankings) -> np.ndarray:
    """Return the share of the 10 closest that was served, (m,)."""
    return np.ones(len(rankings.relevant)) if rankings.served is None else rankings.served


@dataclass(frozen=True)
class Score:
    """How one score is computed and shown.

    Attributes
    ----------
    heading : str
        In tables and legends.
    measure : callable
        From `Rankings` to (m, depths) of a curve, (m,) of a number: a value for each query, whose mean is the score.
    curve : bool
        Against depth.
    also_at : tuple of int
        Depths of a curve that are always measured.
    summary : str
        The line that shows it below the tables, with a `{}` for the values; empty if it has none.
    """

    heading: str
    measure: Callable[[Rankings], np.ndarray]
    curve: bool
    also_at: tuple[int, ...] = ()
    summary: str = ""


@dataclass(frozen=True)
class Means:
    """Means over queries of what their labels say. A curve is a dict by depth."""

    queries: int
    lrap: Annotated[dict[int, float], Score("LRAP", lrap, curve=True)]
    map: Annotated[
        float, Score("mAP", lambda rankings: rankings.average_precision[:, -1], curve=False, summary="mAP {}")
    ]
    map_at: Annotated[dict[int, float], Score("mAP@n", lambda rankings: rankings.average_precision, curve=True)]
    precision_at: Annotated[
        dict[int, float],
        Score("precision@n", precision, curve=True, also_at=(1, 10), summary="precision@1 {}"),
    ]
    recall_at: Annotated[dict[int, float], Score("recall@n", recall, curve=True, also_at=(1, 10))]

    def curves(self) -> dict[str, dict[int, float]]:
        """Return the scores against depth by heading, each at the depths that were chosen."""
        return {
            score.heading: {depth: getattr(self, name)[depth] for depth in self.lrap}
            for name, score in SCORES.items()
            if score.curve
        }


@dataclass(frozen=True)
class Scores(Means):
    """Means over all queries, and the table of all scores.

    The tables of the command line, the JSON documents and the lines of the
    figure are made from this table: another score is another attribute here,
    or of `Means`, if it follows from the labels.

    Attributes
    ----------
    without_relevant : int
        Queries that cannot be answered, as no stored image is relevant to them: LRAP gives them 1, the other
        scores 0, whatever the encoder.
    answerable : Means or None
        Of the other queries; None if there are none.
    with_copies, copies_left_out : int
        Queries whose picture is stored in other copies, and how many of those were left out of the rankings.
    """

    without_relevant: int
    answerable: Means | None
    with_copies: int
    copies_left_out: int
    ann_recall_at_10: Annotated[
        float,
        Score(
            "recall@10 of a search",
            served,
            curve=False,
            summary="recall@10 of a search against the exact ranking: {} (the scores above use the exact ranking)",
        ),
    ]

    @property
    def parts(self) -> tuple[Means, ...]:
        """The scores to read: of all queries and, if only some can be answered, of those."""
        return (self,) if self.answerable is None or not self.without_relevant else (self, self.answerable)

    def whose(self, part: Means) -> str:
        """Return which queries one of `parts` is of, in words."""
        if part is self:
            return f"all {counted(self.queries, 'query', 'queries')}"
        return f"the {counted(part.queries, 'query', 'queries')} of {self.queries:,} that can be answered"

    def summary(self) -> Iterator[str]:
        """Yield the lines below the tables; a curve is summarised by its value at depth 1."""
        for name, score in SCORES.items():
            if score.summary:
                values = [getattr(part, name) for part in self.parts if hasattr(part, name)]
                told, *some = [f"{value[1] if score.curve else value:.3f}" for value in values]
                more = f" ({some[0]} of those that can be answered)" if some else ""
                yield score.summary.format(told + more)


#: The scores by name, which is an attribute of `Scores` and a key of the JSON documents.
SCORES: dict[str, Score] = {
    name: get_args(hint)[1]
    for name, hint in get_type_hints(Scores, include_extras=True).items()
    if get_origin(hint) is Annotated
}


def read_scores(stored: Mapping[str, Any]) -> Scores:
    """Return scores that were stored as JSON values, whose keys are texts where depths are numbers.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        They are not scores.
    """

    def by_depth(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {int(n): x for n, x in value.items()} if name in SCORES and SCORES[name].curve else value
            for name, value in values.items()
        }

    scores = by_depth(stored)
    answerable = scores.pop("answerable")
    return Scores(**scores, answerable=None if answerable is None else Means(**by_depth(answerable)))


def default_depths(ranks: int) -> list[int]:
    """Return the article's depths that fit, beyond them 1, 2 and 5 times each power of ten, and the full ranking's."""
    powers = (10**power for power in range(5, len(str(ranks))))
    beyond = (times * power for power in powers for times in (1, 2, 5))
    return sorted({*(depth for depth in (*ARTICLE_DEPTHS, *beyond) if depth <= ranks), ranks})


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
    wanted = {min(depth, run.ranks) for depth in depths} if depths else {*default_depths(run.ranks)}
    shown = {name: sorted({*wanted, *(min(n, run.ranks) for n in score.also_at)}) for name, score in SCORES.items()}
    measured = sorted({run.ranks, *(depth for at in shown.values() for depth in at)})
    shares = served_shares(run)
    values: dict[str, list[np.ndarray]] = {name: [] for name in SCORES}
    block = max(1, _BLOCK_VALUES // run.ranks)
    for start in range(0, len(run), block):
        rankings = Rankings(*run.bits(start, start + block), measured, shares[start : start + block])
        for name, score in SCORES.items():
            values[name].append(score.measure(rankings))
    each = {name: np.concatenate(parts) for name, parts in values.items()}
    answerable = np.array([ranking.any() for ranking in run.relevant])

    def means(chosen: np.ndarray, names: Iterable[str]) -> dict[str, Any]:
        measures = {name: each[name][chosen].mean(axis=0) for name in names}
        return {
            name: {depth: float(mean[measured.index(depth)]) for depth in shown[name]}
            if SCORES[name].curve
            else float(mean)
            for name, mean in measures.items()
        }

    judged = [field.name for field in fields(Means) if field.name in SCORES]
    count = int(answerable.sum())
    return Scores(
        queries=len(run),
        without_relevant=len(run) - count,
        answerable=Means(queries=count, **means(answerable, judged)) if count else None,
        with_copies=int((run.copies > 0).sum()),
        copies_left_out=int(run.copies.sum()),
        **means(np.ones(len(run), bool), SCORES),
    )


def served_shares(run: Run) -> np.ndarray:
    """Return each query's share of the 10 closest that was served, (m,); an equally distant image is as good."""
    if not run.exact_ids.size:
        return np.ones(len(run))
    shares = []
    for exact, distances, served, served_distances in zip(
        run.exact_ids, run.exact_distances, run.served_ids, run.served_distances, strict=True
    ):
        there = int((exact != "").sum())  # fewer than ten where nothing else is left to rank
        as_far = served_distances <= distances[there - 1] * (1 + 1e-5)
        shares.append((np.isin(served, exact[:there]) | as_far).sum() / there if there else 1.0)
    return np.minimum(shares, 1.0)
