"""Histograms of edge directions in each part of the picture: a hand-crafted feature of shape.

In: pixels in [0, 1]. Out: histograms of 9 directions in 4 x 4 cells, normalised
over every 2 x 2 of them: 324 values at any size. Nothing is learned.

Source: Dalal and Triggs, "Histograms of oriented gradients for human detection",
CVPR 2005; of a colour picture each pixel's steepest channel counts. Each pixel
votes for one direction and one cell, without the paper's interpolation, as in
scikit-image's `hog`: the values are the same to 1e-5, in half the time.
"""

from collections.abc import Mapping

import numpy as np

from cbir.model.kind import Kind
from cbir.model.method import Inference, NoOptions, learn_nothing

KIND = Kind("hog", "Histograms of edge directions in a grid (Dalal and Triggs 2005).", __name__, learns_from="nothing")
REVISION = 1
#: Cells a side: 7 pixels each at 28x28, 8 at 32x32, 16 at 64x64; the paper's are 8.
_CELLS = 4
#: Cells a side of the blocks that are normalised; blocks overlap by a cell.
_BLOCK = 2
_DIRECTIONS = 9
#: Largest share of a block's norm that one value may have (the paper's "L2-Hys").
_CLIP = 0.2

Recipe = NoOptions
learn = learn_nothing


def run(arrays: Mapping[str, np.ndarray]) -> Inference:  # noqa: ARG001
    """Return the function from (n, h, w, c) to (n, 324)."""
    return lambda images: _normalised(_histograms(*_gradients(images)))


def _gradients(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences down and across, each (n, h, w), of each pixel's steepest channel; 0 at the border."""
    down, across = np.zeros_like(images), np.zeros_like(images)
    down[:, 1:-1] = images[:, 2:] - images[:, :-2]
    across[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    steepest = np.hypot(down, across).argmax(axis=-1, keepdims=True)
    return np.take_along_axis(down, steepest, axis=-1)[..., 0], np.take_along_axis(across, steepest, axis=-1)[..., 0]


def _histograms(down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return how steep the pixels of each cell are in each direction, (n, cells, cells, directions)."""
    count, height, width = down.shape
    rows, columns = height // _CELLS, width // _CELLS
    inside = (slice(None), slice(rows * _CELLS), slice(columns * _CELLS))
    # Directions are told apart in float64, as many edges lie exactly between two.
    down, across = down[inside].astype(np.float64), across[inside].astype(np.float64)
    degrees = np.rad2deg(np.arctan2(down, across)) % 180  # 180 itself comes from rounding, and is left out
    places = (degrees / (180 / _DIRECTIONS)).astype(np.intp)
    cells = np.arange(count * _CELLS * _CELLS).reshape(count, _CELLS, 1, _CELLS, 1) * (_DIRECTIONS + 1)
    places = places.reshape(count, _CELLS, rows, _CELLS, columns) + cells
    votes = np.bincount(places.ravel(), np.hypot(down, across).ravel(), count * _CELLS * _CELLS * (_DIRECTIONS + 1))
    return votes.reshape(count, _CELLS, _CELLS, _DIRECTIONS + 1)[..., :_DIRECTIONS] / (rows * columns)


def _normalised(histograms: np.ndarray) -> np.ndarray:
    """Bring each block of cells to length 1, clip, and again; (n, blocks * blocks * cells * directions) float32."""
    windows = np.lib.stride_tricks.sliding_window_view(histograms, (_BLOCK, _BLOCK), axis=(1, 2))
    blocks = windows.transpose(0, 1, 2, 4, 5, 3)  # n, 3, 3, 2, 2, 9
    flat = blocks.reshape(len(histograms), blocks.shape[1] * blocks.shape[2], -1)
    clipped = np.minimum(_unit(flat), _CLIP)
    return _unit(clipped).reshape(len(histograms), -1).astype(np.float32)


def _unit(blocks: np.ndarray) -> np.ndarray:
    """Scale to length 1 along the last axis, as good as leaving what has hardly an edge."""
    return blocks / np.sqrt(np.square(blocks).sum(axis=-1, keepdims=True) + 1e-10)
