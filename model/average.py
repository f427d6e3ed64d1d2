"""The average of features that belong together, as query expansion and smoothing take it.

In: groups of features. Out: a feature each, which is on the unit sphere if all
of its group are, as encoders that normalise leave them.
"""

import numpy as np

#: How far from 1 a normalised feature's length may be: float32 and a few layers.
_UNIT = 1e-3


def average(features: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Average groups of features.

    Parameters
    ----------
    features : ndarray of float32, shape (..., k, d)
    weights : ndarray of float, shape (k,), optional
        Above 0; by default all the same.

    Returns
    -------
    ndarray of float32, shape (..., d)
        Of length 1 where all k of a group have length 1 (and do not cancel out).
    """
    mean = np.average(features, axis=-2, weights=weights)
    length = np.linalg.norm(mean, axis=-1, keepdims=True)
    unit = (np.abs(np.linalg.norm(features, axis=-1) - 1) < _UNIT).all(axis=-1, keepdims=True)
    return (mean / np.where(unit & (length > 0), length, 1)).astype(np.float32)
