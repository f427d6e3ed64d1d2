"""Which way the edges run in each part of the picture: a hand-crafted feature of shape.

In: pixels in [0, 1]. Out: histograms of 9 directions in 4 x 4 cells, normalised
over every 2 x 2 of them: 324 values at any size. Nothing is learned.

Source: Dalal and Triggs, "Histograms of oriented gradients for human detection",
CVPR 2005, as scikit-image has it; of a colour picture each pixel's steepest
channel counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.model.kind import Kind
from cbir.model.method import Examples, Inference, Learned

KIND = Kind("hog", "Which way the edges run in each part (Dalal and Triggs 2005).", __name__, learns_from="nothing")
REVISION = 1
#: Cells a side: 7 pixels each at 28x28, 8 at 32x32, 16 at 64x64; the paper's are 8.
_CELLS = 4


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
    """Return the function from (n, h, w, c) to (n, 324)."""
    from skimage.feature import hog

    def directions(images: np.ndarray) -> np.ndarray:
        cell = (images.shape[1] // _CELLS, images.shape[2] // _CELLS)
        return np.stack([hog(image, 9, cell, (2, 2), "L2-Hys", channel_axis=-1) for image in images])

    return directions
