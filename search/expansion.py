"""Query expansion: a query's feature, averaged with those of its nearest, is searched again.

In: query features, and a collection or the features of one. Out: features to
search with instead; the distances of what they find are distances to them.
What the query's picture has by chance is averaged out, and what its neighbours
have in common stays.

O. Chum, J. Philbin, J. Sivic, M. Isard, A. Zisserman: Total recall: automatic
query expansion with a generative feature model for object retrieval. ICCV 2007.
All weigh the same, as there: weights by a power of the cosine (F. Radenovic,
G. Tolias, O. Chum, TPAMI 2018) say little of features that are not normalised.
"""

import numpy as np

from collection.interface import Collection, Where
from model.average import average
from search.ranking import rank


def expand(
    collection: Collection, features: np.ndarray, nearest: int, *, where: Where | None = None, exact: bool = False
) -> np.ndarray:
    """Expand queries by what a collection finds for them.

    Parameters
    ----------
    collection : Collection
    features : ndarray of float32, shape (m, d)
    nearest : int
        Neighbours to average a query with.
    where, exact
        As in `Collection.search_batch`: the neighbours are of what is searched.

    Returns
    -------
    ndarray of float32, shape (m, d)

    Raises
    ------
    CollectionError
        `nearest` below 1.
    """
    expanded = features.copy()
    for row, hits in enumerate(collection.search_batch(features, nearest, where=where, exact=exact)):
        stored = collection.vectors([hit.id for hit in hits])
        expanded[row] = average(np.stack([features[row], *(stored[hit.id] for hit in hits if hit.id in stored)]))
    return expanded


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
