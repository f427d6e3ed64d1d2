"""Points that have no place on a map yet: each comes amid its nearest neighbours.

In: features, and the places of others. Out: places, without moving those others.
"""

import numpy as np

from cbir.core.progress import Progress, silent

#: Distances computed at once.
_VALUES = 1 << 24


def beside(
    new: np.ndarray, features: np.ndarray, places: np.ndarray, progress: Progress = silent, nearest: int = 10
) -> np.ndarray:
    """Place points amid their nearest neighbours, where the median of these is.

    Parameters
    ----------
    new : ndarray of float32, shape (m, r)
    features : ndarray of float32, shape (n, r)
        Of points that have a place; at least one.
    places : ndarray of float32, shape (n, 2)
    progress : Progress
        Stage `place`.
    nearest : int
        Neighbours of each.

    Returns
    -------
    ndarray of float32, shape (m, 2)
    """
    nearest = min(nearest, len(features))
    squares = np.square(features).sum(axis=1)
    rows = max(1, _VALUES // len(features))
    found = np.empty((len(new), 2), np.float32)
    for first in range(0, len(new), rows):
        progress("place", first, len(new))
        far = squares - 2 * new[first : first + rows] @ features.T
        near = np.argpartition(far, nearest - 1, axis=1)[:, :nearest]
        found[first : first + rows] = np.median(places[near], axis=1)
    return found
