"""Points that have no place on a map yet: each comes amid its nearest neighbours.

In: features, and the places of others. Out: places, without moving those others.
"""

import math

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
    count, values = features.shape
    nearest = min(nearest, count)
    # Of groups of points, those are looked into whose nearest is among the nearest of all groups: no others can hold
    # any of the nearest points. That is exact, and a third of the time of looking at all points of each row.
    groups = math.isqrt(count * nearest - 1) + 1
    size = -(-count // groups)
    known = np.zeros((values + 1, size * groups), np.float32)
    known[:values, :count] = features.T
    known[values, :count] = np.square(features).sum(axis=1)
    known[values, count:] = np.inf
    rows = min(max(1, len(new)), max(1, _VALUES // known.shape[1]))
    room = np.empty((rows, known.shape[1]), np.float32)
    found = np.empty((len(new), 2), np.float32)
    for first in range(0, len(new), rows):
        progress("place", first, len(new))
        asked = np.column_stack([-2 * new[first : first + rows], np.ones(min(rows, len(new) - first), np.float32)])
        far = np.matmul(asked, known, out=room[: len(asked)]).reshape(len(asked), size, groups)
        near = np.argpartition(far.min(axis=1), nearest - 1, axis=1)[:, :nearest]
        some = np.take_along_axis(far, near[:, None], axis=2).reshape(len(asked), -1)
        at = np.argpartition(some, nearest - 1, axis=1)[:, :nearest]
        points = at // nearest * groups + np.take_along_axis(near, at % nearest, axis=1)
        found[first : first + rows] = np.median(places[points], axis=1)
    return found
