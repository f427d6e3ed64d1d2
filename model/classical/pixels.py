"""The pixels themselves, flattened: the baseline that every feature must beat.

In: pixels in [0, 1]. Out: the same values in a row; nothing is learned.
"""

from collections.abc import Mapping

import numpy as np

from cbir.model.kind import Kind
from cbir.model.method import Inference, NoOptions, learn_nothing

KIND = Kind("pixels", "The pixels themselves: the baseline.", __name__, learns_from="nothing")
REVISION = 1

Recipe = NoOptions
learn = learn_nothing


def run(arrays: Mapping[str, np.ndarray]) -> Inference:  # noqa: ARG001
    """Return the function that flattens (n, h, w, c) to (n, h * w * c)."""
    return lambda images: images.reshape(len(images), -1)
