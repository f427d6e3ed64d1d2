"""A batch of images on its way from the encoder to the collection."""

from dataclasses import dataclass

import numpy as np

from ingest.source import Item


@dataclass(frozen=True)
class Encoded:
    """Images and what is kept of them.

    Attributes
    ----------
    items : list of Item
    features : ndarray of float32, shape (n, d)
    brightness : ndarray of float32, shape (n,)
        Median border brightness, in [0, 1].
    """

    items: list[Item]
    features: np.ndarray
    brightness: np.ndarray
