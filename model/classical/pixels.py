"""The pixels themselves, flattened: the baseline that every feature must beat.

In: pixels in [0, 1]. Out: the same values in a row; nothing is learned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.model.kind import Kind
from cbir.model.method import Examples, Inference, Learned

KIND = Kind("pixels", "The pixels themselves: the baseline.", __name__, learns_from="nothing")
REVISION = 1


@dataclass(frozen=True)
class Recipe:
    """Nothing to choose."""


def learn(
    examples: Examples,  # noqa: ARG001 - nothing is learned
    recipe: Recipe,  # noqa: ARG001
    *,
    checkpoint: Path | None = None,  # noqa: ARG001
    progress: Progress = silent,  # noqa: ARG001
) -> Learned:
    """Learn nothing."""
    return Learned(arrays={})


def run(arrays: Mapping[str, np.ndarray]) -> Inference:  # noqa: ARG001
    """Return the function that flattens (n, h, w, c) to (n, h * w * c)."""
    return lambda images: images.reshape(len(images), -1)
