"""Query expansion: a query's feature, averaged with those of its nearest, is searched again.

In: query features and a collection. Out: features to search with instead; the
distances of what they find are distances to them.
What the query's picture has by chance is averaged out, and what its neighbours
have in common stays.

O. Chum, J. Philbin, J. Sivic, M. Isard, A. Zisserman: Total recall: automatic
query expansion with a generative feature model for object retrieval. ICCV 2007.
All weigh the same, as there: weights by a power of the cosine (F. Radenovic,
G. Tolias, O. Chum, TPAMI 2018) say little of features that are not normalised.
"""

import numpy as np

from cbir.collection.interface import Collection, Where
from cbir.model.average import average


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
