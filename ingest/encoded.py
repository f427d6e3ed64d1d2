"""A batch of images on its way from the encoder to the collection."""

from dataclasses import dataclass

import numpy as np

from cbir.collection.point import Payload


@dataclass(frozen=True)
class Encoded:
    """Images and what is kept of them.

    Attributes
    ----------
    ids : list of str
    features : ndarray of float32, shape (n, d)
    payloads : list of Payload
    brightness : ndarray of float32, shape (n,)
        Median border brightness, in [0, 1].
    """

    ids: list[str]
    features: np.ndarray
    payloads: list[Payload]
    brightness: np.ndarray
