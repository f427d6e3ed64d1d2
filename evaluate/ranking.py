"""The exact ranking of all stored features for many queries, block by block.

In: query features and database features. Out: for each block of queries, the
whole database in order of Euclidean distance, after the steps that a search
may add (`cbir.search.stages`). Memory is a few tables of block x database,
whatever the number of queries.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cbir.search import stages
from cbir.search.neighbours import Ranking
from cbir.search.options import RankingOptions

#: Distances held at once (float64: 32 MB).
_BLOCK_VALUES = 4_000_000


@dataclass(frozen=True)
class RankedBlock:
    """Rankings of the queries `start` to `start + len(order)`.

    Attributes
    ----------
    start : int
    order : ndarray of int64, shape (b, n)
        Database rows, closest first; equal distances in the order of rows.
    distances : ndarray of float32, shape (b, n)
        In the same order.
    kept : ndarray of int64, shape (b,)
        How many of the n count; behind them stands what is left out of the query's ranking, infinitely far.
    """

    start: int
    order: np.ndarray
    distances: np.ndarray
    kept: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """What counts, (b, n) bool."""
        return np.arange(self.order.shape[1]) < self.kept[:, None]


def rank(
    queries: np.ndarray, database: np.ndarray, left_out: Sequence[np.ndarray] | None = None
) -> Iterator[RankedBlock]:
    """Rank the database for each query.

    Parameters
    ----------
    queries : ndarray of float32, shape (m, d)
    database : ndarray of float32, shape (n, d)
    left_out : sequence of m ndarrays of int, optional
        Rows of the database that are no part of a query's ranking, at least one for each query: rankings
        have n - 1 columns then.

    Yields
    ------
    RankedBlock
    """
    database = database.astype(np.float64)
    squares = np.einsum("nd,nd->n", database, database)
    rows = np.arange(len(database), dtype=np.uint64)
    block = max(1, _BLOCK_VALUES // max(1, len(database)))
    for start in range(0, len(queries), block):
        distances = _distances(queries[start : start + block].astype(np.float64), database, squares)
        kept = np.full(len(distances), len(database))
        for number, out in enumerate(left_out[start : start + block] if left_out is not None else ()):
            distances[number, out] = np.inf
            kept[number] -= len(out)
        # One sort of whole numbers gives both: a float32 that is not negative sorts as
        # its bits do, so (bits, row) as one uint64 sorts by distance, then by row.
        keys = (distances.view(np.uint32).astype(np.uint64) << np.uint64(32)) | rows
        keys.sort(axis=1)
        if left_out is not None:
            keys = keys[:, :-1]
        order = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
        yield RankedBlock(start, order, (keys >> np.uint64(32)).astype(np.uint32).view(np.float32), kept)


def near(features: np.ndarray, rows: np.ndarray, share: float) -> Iterator[np.ndarray]:
    """Yield, for each of some rows of (n, d) features, all rows that are near it, itself among them, ascending.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    rows : ndarray of int, shape (m,)
    share : float
        Near is what is no farther than this share of the row's length.
    """
    database = features.astype(np.float64)
    squares = np.einsum("nd,nd->n", database, database)
    block = max(1, _BLOCK_VALUES // max(1, len(database)))
    for start in range(0, len(rows), block):
        own = rows[start : start + block]
        distances = _distances(database[own], database, squares)
        found = distances <= share * np.sqrt(squares[own])[:, None]
        found[np.arange(len(own)), own] = True
        yield from map(np.flatnonzero, found)


class ExactNeighbours:
    """A database in memory, as the steps around a search ask it; its points are named by their rows.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    left_out : sequence of m ndarrays of int, optional
        Rows that are no neighbours of a query, as `rank` takes them.
    """

    def __init__(self, features: np.ndarray, left_out: Sequence[np.ndarray] | None = None) -> None:
        self._features = features
        self._left_out = left_out

    def nearest(self, features: np.ndarray, k: int) -> list[list[int]]:
        """Return the rows closest to each of the (m, d) features."""
        blocks = rank(features, self._features, self._left_out)
        return [
            row[: min(k, kept)].tolist() for block in blocks for row, kept in zip(block.order, block.kept, strict=True)
        ]

    def vectors(self, keys: Iterable[int]) -> dict[int, np.ndarray]:
        """Return features by row."""
        return {row: self._features[row] for row in keys}


def reordered(
    block: RankedBlock, features: np.ndarray, database: ExactNeighbours, options: RankingOptions
) -> RankedBlock:
    """Return a block after the steps that follow a search.

    Parameters
    ----------
    block : RankedBlock
    features : ndarray of float32, shape (m, d)
        Of all queries.
    database : ExactNeighbours
    options : RankingOptions

    Returns
    -------
    RankedBlock
        The first distances of each row are what the steps order by; behind them they are Euclidean.
    """
    depth = stages.depth(options)
    if not depth:
        return block
    order, far = block.order.copy(), block.distances.copy()
    queries = features[block.start : block.start + len(order)]
    depths = np.minimum(depth, block.kept)
    rankings = [Ranking(keys[:n].tolist(), near[:n]) for keys, near, n in zip(order, far, depths, strict=True)]
    for row, (ranking, n) in enumerate(zip(stages.after(database, queries, rankings, options), depths, strict=True)):
        order[row, :n], far[row, :n] = ranking.keys, ranking.distances
    return RankedBlock(block.start, order, far, block.kept)


def _distances(queries: np.ndarray, database: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return (b, n) float32 distances.

    |q|^2 + |x|^2 - 2qx in float64: what cancels is then far below float32's
    step, so that equal features get equal distances; what is left of an exact
    match after cancelling is set to zero.
    """
    scale = np.einsum("md,md->m", queries, queries)[:, None] + squares
    squared = queries @ database.T
    squared *= -2
    squared += scale
    squared[squared < 1e-13 * scale] = 0
    return np.sqrt(squared, out=squared).astype(np.float32)
