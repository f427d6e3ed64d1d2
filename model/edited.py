"""Edited copies of pictures, the same each time they are made.

In: a picture, a distortion, a seed. Out: the same copy each time: what is
random in it is drawn by the seed and the picture's uri, alike for every encoder
and strength.
"""

import zlib

import numpy as np
from PIL import Image

from cbir.model.distortion import Distortion


def edited(workable: Image.Image, distortion: Distortion, seed: int, uri: str) -> Image.Image:
    """Return the edited copy of a picture that was made `cbir.model.distortion.workable`."""
    return distortion(workable, np.random.default_rng([seed, zlib.crc32(uri.encode())]))
