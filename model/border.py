"""The border of pictures: what padding continues, and how light or dark a picture's background is.

In: a picture or pixels. Out: the border's pixels, its median colour or its brightness.
"""

import numpy as np
from PIL import Image


def border(pixels: np.ndarray) -> np.ndarray:
    """Return the outermost ring of (h, w, c) pixels as (n, c)."""
    top_bottom = pixels[[0, -1]].reshape(-1, pixels.shape[-1])
    left_right = pixels[1:-1, [0, -1]].reshape(-1, pixels.shape[-1])
    return np.concatenate([top_bottom, left_right])


def ground(image: Image.Image) -> tuple[int, ...]:
    """Return the median colour of the border of a grey or RGB picture."""
    pixels = np.asarray(image)
    return tuple(int(v) for v in np.median(border(pixels.reshape(*pixels.shape[:2], -1)), axis=0))


def background(pixels: np.ndarray) -> np.ndarray:
    """Return the median border brightness of each picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, h, w, c)

    Returns
    -------
    ndarray of float32, shape (n,), in [0, 1]
    """
    rows = pixels[:, [0, -1]].reshape(len(pixels), -1)
    columns = pixels[:, :, [0, -1]].reshape(len(pixels), -1)
    return np.median(np.concatenate([rows, columns], axis=1), axis=1).astype(np.float32) / np.float32(255)
