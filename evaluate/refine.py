"""Query expansion and re-ranking for exact rankings, as a search does both with what Qdrant finds.

In: features and exact rankings of the whole database. Out: expanded features, or better rankings.
"""

import numpy as np

from cbir.evaluate.ranking import RankedBlock, rank
from cbir.model.average import average
from cbir.search.rerank import DEPTH, distances


def expand_among(
    database: np.ndarray, features: np.ndarray, nearest: int, own_rows: np.ndarray | None = None
) -> np.ndarray:
    """Expand queries by their exact neighbours.

    Parameters
    ----------
    database : ndarray of float32, shape (n, d)
    features : ndarray of float32, shape (m, d)
    nearest : int
    own_rows : ndarray of int, shape (m,), optional
        Each query's own row of the database, which is no neighbour of it.

    Returns
    -------
    ndarray of float32, shape (m, d)
    """
    expanded = features.copy()
    for block in rank(features, database, own_rows):
        rows = slice(block.start, block.start + len(block.order))
        expanded[rows] = average(np.concatenate([features[rows, None], database[block.order[:, :nearest]]], axis=1))
    return expanded


def rerank_block(block: RankedBlock, features: np.ndarray, database: np.ndarray, depth: int = DEPTH) -> RankedBlock:
    """Do the same with exact rankings.

    Parameters
    ----------
    block : RankedBlock
    features : ndarray of float32, shape (m, d)
        Of all queries.
    database : ndarray of float32, shape (n, d)
    depth : int

    Returns
    -------
    RankedBlock
        Its distances are what `distances` gives for the first `depth`, and Euclidean behind them.
    """
    order, far = block.order.copy(), block.distances.copy()
    for row, feature in enumerate(features[block.start : block.start + len(order)]):
        first = order[row, :depth]
        near = distances(feature, database[first])
        better = np.argsort(near, kind="stable")
        order[row, :depth], far[row, :depth] = first[better], near[better]
    return RankedBlock(block.start, order, far)
