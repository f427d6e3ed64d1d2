"""The exact ranking of all stored features for many queries, block by block.

In: query features and database features. Out: for each block of queries, the
whole database in order of Euclidean distance, after the steps that a search
may add (`cbir.search.stages`). Memory is a few tables of block x database,
whatever the number of queries, and one tile of the database's features.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cbir.evaluate.features import Features
from cbir.search import stages
from cbir.search.neighbours import Ranking
from cbir.search.options import RankingOptions

#: Ranks held at once (of eight bytes: 64 MB; at least those of one query), and values of features (float64: 16 MB).
_BLOCK_VALUES, _TILE_VALUES = 8_000_000, 2_000_000


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
    queries: np.ndarray, database: np.ndarray | Features, left_out: Sequence[np.ndarray] | None = None
) -> Iterator[RankedBlock]:
    """Rank the database for each query.

    Parameters
    ----------
    queries : ndarray of float32, shape (m, d)
    database : ndarray of float32 or Features, shape (n, d)
        Gone through once for each block of queries.
    left_out : sequence of m ndarrays of int, optional
        Rows of the database that are no part of a query's ranking, at least one for each query: rankings
        have n - 1 columns then.

    Yields
    ------
    RankedBlock
    """
    count = len(database)
    block = max(1, _BLOCK_VALUES // max(1, count))
    far = np.uint64(int(np.array(np.inf, np.float32).view(np.uint32)) << 32)
    for start in range(0, len(queries), block):
        asked = queries[start : start + block].astype(np.float64)
        # One sort of whole numbers gives both: a float32 that is not negative sorts as
        # its bits do, so (bits, row) as one uint64 sorts by distance, then by row.
        keys = np.empty((len(asked), count), np.uint64)
        for rows, distances in _tiles(asked, database):
            part = keys[:, rows]
            part[:] = distances.view(np.uint32)
            part <<= np.uint64(32)
            part |= np.arange(rows.start, rows.stop, dtype=np.uint64)
        kept = np.full(len(asked), count)
        for number, out in enumerate(left_out[start : start + block] if left_out is not None else ()):
            keys[number, out] = far | out.astype(np.uint64)
            kept[number] -= len(out)
        keys.sort(axis=1)
        if left_out is not None:
            keys = keys[:, :-1]
        found = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
        keys &= np.uint64(0xFFFFFFFF)
        yield RankedBlock(start, keys.view(np.int64), found, kept)


def near(queries: np.ndarray, database: np.ndarray | Features, share: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield which rows of a database are near which of some features, as pairs, some at a time.

    Where all features are equal these are all pairs, so that whoever asks must not keep them.

    Parameters
    ----------
    queries : ndarray of float32, shape (m, d)
    database : ndarray of float32 or Features, shape (n, d)
    share : float
        Near is what is no farther than this share of the query's length.

    Yields
    ------
    (ndarray of int, ndarray of int), shape (p,) both
        Numbers of queries, and rows of the database.
    """
    asked = queries.astype(np.float64)
    within = share * np.sqrt(np.einsum("md,md->m", asked, asked))[:, None]
    for rows, distances in _tiles(asked, database):
        numbers, places = np.nonzero(distances <= within)
        yield numbers, rows.start + places


class ExactNeighbours:
    """A database in memory, as the steps around a search ask it; its points are named by their rows.

    Parameters
    ----------
    features : ndarray of float32 or Features, shape (n, d)
    left_out : sequence of m ndarrays of int, optional
        Rows that are no neighbours of a query, as `rank` takes them.
    """

    def __init__(self, features: np.ndarray | Features, left_out: Sequence[np.ndarray] | None = None) -> None:
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
        rows = list(dict.fromkeys(keys))
        return dict(zip(rows, self._features[np.array(rows, np.int64)], strict=True))


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


def _tiles(queries: np.ndarray, database: np.ndarray | Features) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the distances, (b, k) float32, of queries to the rows of a slice, until there are no more rows."""
    count, values = database.shape
    rows = max(1, min(_TILE_VALUES // max(1, values), _BLOCK_VALUES // max(1, len(queries))))
    for start in range(0, count, rows):
        place = slice(start, min(start + rows, count))
        tile = database[place].astype(np.float64)
        yield place, _distances(queries, tile, np.einsum("nd,nd->n", tile, tile))


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
