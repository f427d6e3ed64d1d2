"""The average of features, for query expansion and smoothing.

In: groups of features. Out: one feature for each group, normalised if all
features of the group are.
"""

import numpy as np

#: How far the length of a normalised feature may be from 1, computed in float32 through some layers.
_TOLERANCE = 1e-3


def average(features: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Average groups of features.

    Parameters
    ----------
    features : ndarray of float32, shape (..., k, d)
    weights : ndarray of float, shape (k,), optional
        Above 0; equal by default.

    Returns
    -------
    ndarray of float32, shape (..., d)
        Of length 1 where all k of a group have length 1 (unless they cancel out).
    """
    mean = np.average(features, axis=-2, weights=weights)
    length = np.linalg.norm(mean, axis=-1, keepdims=True)
    unit = (np.abs(np.linalg.norm(features, axis=-1) - 1) < _TOLERANCE).all(axis=-1, keepdims=True)
    return (mean / np.where(unit & (length > 0), length, 1)).astype(np.float32)
