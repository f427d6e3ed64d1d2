"""The exact ranking of all stored features for many queries, block by block.

In: query features and database features. Out: for each block of queries, the
whole database in order of Euclidean distance, after the steps that a search
may add (`cbir.search.stages`). Memory is a few tables of block x database,
whatever the number of queries.
"""

from collections.abc import Iterable, Iterator
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
    """

    start: int
    order: np.ndarray
    distances: np.ndarray


def rank(queries: np.ndarray, database: np.ndarray, own_rows: np.ndarray | None = None) -> Iterator[RankedBlock]:
    """Rank the database for each query.

    Parameters
    ----------
    queries : ndarray of float32, shape (m, d)
    database : ndarray of float32, shape (n, d)
    own_rows : ndarray of int, shape (m,), optional
        Leave-one-out: each query's own row of the database, left out of its
        ranking, which then has n - 1 columns.

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
        if own_rows is not None:
            distances[np.arange(len(distances)), own_rows[start : start + block]] = np.inf
        # One sort of whole numbers gives both: a float32 that is not negative sorts as
        # its bits do, so (bits, row) as one uint64 sorts by distance, then by row.
        keys = (distances.view(np.uint32).astype(np.uint64) << np.uint64(32)) | rows
        keys.sort(axis=1)
        if own_rows is not None:
            keys = keys[:, :-1]
        order = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
        yield RankedBlock(start, order, (keys >> np.uint64(32)).astype(np.uint32).view(np.float32))


class ExactNeighbours:
    """A database in memory, as the steps around a search ask it; its points are named by their rows.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    own_rows : ndarray of int, shape (m,), optional
        Each query's own row, which is no neighbour of it.
    """

    def __init__(self, features: np.ndarray, own_rows: np.ndarray | None = None) -> None:
        self._features = features
        self._own_rows = own_rows

    def nearest(self, features: np.ndarray, k: int) -> list[list[int]]:
        """Return the rows closest to each of the (m, d) features."""
        blocks = rank(features, self._features, self._own_rows)
        return [row for block in blocks for row in block.order[:, :k].tolist()]

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
    rankings = [Ranking(keys.tolist(), near) for keys, near in zip(order[:, :depth], far[:, :depth], strict=True)]
    for row, ranking in enumerate(stages.after(database, queries, rankings, options)):
        order[row, :depth], far[row, :depth] = ranking.keys, ranking.distances
    return RankedBlock(block.start, order, far)


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
