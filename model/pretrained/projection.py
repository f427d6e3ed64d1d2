"""The plain projection: a network's features in the directions in which a source's pictures differ most.

In: the features of the source's own pictures, and the directions in which
pictures in general differ. Out: a `Head`. A folder of 20 pictures spans 19
directions; were they all, 2,000 pictures that are added later would look alike.
The more pictures, the more their own directions count.
"""

import numpy as np

from cbir.model.pretrained.head import Head, rooted

#: How many pictures the general directions count as much as, and the mean of none at all.
_PRIOR_PICTURES, _PRIOR_MEAN = 10, 1

#: Variance of normalised rows that is no more than rounding.
_SAME = 1e-8


def projection(raw: np.ndarray, general: np.ndarray | None = None, *, values: int = 256) -> Head:
    """Find the principal directions.

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
    _, vectors = np.linalg.eigh(spread)
    directions = vectors[:, ::-1][:, :values]
    # A direction's sign is arbitrary; the largest part is positive, so that every machine finds the same.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(directions.shape[1])])
    # One picture is not its own mean: there would be nothing left of it.
    shrunk = mean * (count / (count + _PRIOR_MEAN))
    return Head(shrunk.astype(np.float32), np.ascontiguousarray(directions, dtype=np.float32))


def _spread(rows: np.ndarray) -> np.ndarray:
    """Return the covariance of rows, scaled to a trace of 1; zeros if they are all the same, (d, d)."""
    centred = rows - rows.mean(axis=0)
    covariance = centred.T @ centred
    trace = np.trace(covariance)
    return covariance / trace if trace > _SAME * len(rows) else np.zeros_like(covariance)
