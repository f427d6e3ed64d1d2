"""Query expansion: a query's feature, averaged with those of its nearest, is searched again.

In: query features and the points that are searched. Out: features to search
with instead; the distances of what they find are distances to them.
What the query's picture has by chance is averaged out, and what its neighbours
have in common stays.

O. Chum, J. Philbin, J. Sivic, M. Isard, A. Zisserman: Total recall: automatic
query expansion with a generative feature model for object retrieval. ICCV 2007.
All weigh the same, as there: weights by a power of the cosine (F. Radenovic,
G. Tolias, O. Chum, TPAMI 2018) say little of features that are not normalised.
"""

from itertools import chain

import numpy as np

from cbir.model.average import average
from cbir.search.neighbours import Key, Neighbours


def expand(neighbours: Neighbours[Key], features: np.ndarray, nearest: int) -> np.ndarray:
    """Expand queries by what is found for them.

    Parameters
    ----------
    neighbours : Neighbours
    features : ndarray of float32, shape (m, d)
    nearest : int
        Neighbours to average a query with, at least 1.

    Returns
    -------
    ndarray of float32, shape (m, d)
    """
    found = neighbours.nearest(features, nearest)
    stored = neighbours.vectors(chain.from_iterable(found))
    return np.array(
        [
            average(np.stack([feature, *(stored[key] for key in keys if key in stored)]))
            for feature, keys in zip(features, found, strict=True)
        ],
        np.float32,
    ).reshape(features.shape)
