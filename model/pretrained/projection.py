"""Projections of a network's features to fewer values, learned from a source's own pictures.

In: the features of the pictures, and how pictures in general differ. Out: a
`Head`: the plain one, of the directions in which the pictures differ most, and
one in which pictures differ less from their neighbours than from others.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from cbir.model.diffusion import nearest
from cbir.model.pretrained.head import Head, rooted

#: How many pictures the general directions count as much as, and the mean of none at all.
_PRIOR_PICTURES, _PRIOR_MEAN = 10, 1

#: Nearest neighbours of a picture that are taken to be like it.
_PAIRS = 5
#: How much the directions in which they differ are weakened: 0 not at all, 1 until they differ alike in all. With 1,
#: fewer edited copies find their originals. Directions in which they hardly differ are not blown up without end.
_STRENGTH, _FLOOR = 0.5, 0.1
#: Variance of normalised rows that is no more than rounding.
_SAME = 1e-8


def projection(raw: np.ndarray, general: np.ndarray | None = None, *, values: int = 256) -> Head:
    """Find the principal directions.

    A folder of 20 pictures spans 19 directions; were they all, 2,000 pictures that are added later
    would look alike: 0.82 of their edited copies found their originals, 0.98 with the general
    directions. The more pictures, the more their own directions count.

    Parameters
    ----------
    raw : ndarray of float32, shape (n, d)
        What the network gives for the source's pictures, n >= 1.
    general : ndarray of float32, shape (c, d), optional
        Rows that differ as pictures in general do, such as the weights of the network's classifier, one
        a kind: what the network tells apart is in their span. Without them every direction counts alike.
    values : int
        Directions to keep; at most d.

    Returns
    -------
    Head
    """
    features = rooted(np.asarray(raw, np.float32))
    count, dimension = features.shape
    mean = features.mean(axis=0)
    own = _spread(features)
    prior = np.eye(dimension, dtype=np.float32) / dimension if general is None else _spread(general)
    spread = (count * own + _PRIOR_PICTURES * prior) / (count + _PRIOR_PICTURES)
    directions = _leading(spread, values)
    # One picture is not its own mean: there would be nothing left of it.
    shrunk = mean * (count / (count + _PRIOR_MEAN))
    return Head(shrunk.astype(np.float32), directions.astype(np.float32))


def among_neighbours(plain: Head, raw: np.ndarray, *, values: int) -> Head:
    """Weaken the directions in which neighbours differ, then find the principal ones.

    What neighbours differ in is what matters least to likeness; where labels tell pairs of like
    pictures, this is linear discriminant analysis. K. Mikolajczyk, J. Matas, *Improving descriptors
    for fast tree matching by optimal linear projection*, ICCV 2007; F. Radenović, G. Tolias, O. Chum,
    *CNN image retrieval learns from BoW*, ECCV 2016, with pairs from another sort of retrieval.

    Parameters
    ----------
    plain : Head
    raw : ndarray of float32, shape (n, d)
        What the network gives, n >= 2.
    values : int
        Directions to keep; at most as many as `plain` has.

    Returns
    -------
    Head
    """
    features = plain.apply(raw)
    scatter = np.zeros((plain.values, plain.values))
    for other in nearest(features, _PAIRS).T:
        apart = features - features[other]
        scatter += apart.T @ apart
    amounts, axes = np.linalg.eigh(scatter)
    relative = amounts / max(amounts.mean(), np.finfo(np.float32).tiny)
    weakened = axes * (np.maximum(relative, 0) + _FLOOR) ** (-_STRENGTH / 2)
    centred = (features - features.mean(axis=0)) @ weakened
    return Head(plain.mean, (plain.directions @ (weakened @ _leading(centred.T @ centred, values))).astype(np.float32))


def _leading(spread: np.ndarray, values: int) -> np.ndarray:
    """Return the eigenvectors of a symmetric matrix, of the largest eigenvalues first, (d, values)."""
    with threadpool_limits(1, "blas"):  # takes 0.4 s; on two busy cores, two threads took 6 s of them
        _, vectors = np.linalg.eigh(spread)
    leading = vectors[:, ::-1][:, :values]
    # An eigenvector's sign is arbitrary; the largest part is positive, so that every machine finds the same.
    largest = np.abs(leading).argmax(axis=0)
    return np.asarray(leading * np.sign(leading[largest, np.arange(leading.shape[1])]))


def _spread(rows: np.ndarray) -> np.ndarray:
    """Return the covariance of rows, scaled to a trace of 1; zeros if they are all the same, (d, d)."""
    centred = rows - rows.mean(axis=0)
    covariance = centred.T @ centred
    trace = np.trace(covariance)
    return covariance / trace if trace > _SAME * len(rows) else np.zeros_like(covariance)
