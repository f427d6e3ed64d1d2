"""Colour means sRGB: pictures with another ICC profile are converted.

In: a picture and the profile that its file holds. Out: the same picture, as its colours look.
A profile that cannot be used is none.
"""

from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

#: Bytes of a profile, at most; the largest, for printing, have 2 MB.
MOST_BYTES = 1 << 22
#: Steps of 255 by which a profile's sRGB may differ from ours, and be left as it is: most profiles are sRGB.
_ROUNDING = 2
#: Of profiles to what is done to pictures with them.
_KEPT = 16
#: Pillow's modes to what a profile calls their colours.
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}


def in_srgb(picture: Image.Image, profile: bytes, enough: int | None = None) -> tuple[Image.Image, str]:
    """Convert a picture to sRGB.

    Parameters
    ----------
    picture : PIL.Image.Image
        Mode `L`, `RGB`, `CMYK` or `LAB`; another one is left as it is.
    profile : bytes
        The ICC profile; empty if there is none.
    enough : int, optional
        Pixels of the shorter side that suffice: what is converted may be reduced to no less.

    Returns
    -------
    picture : PIL.Image.Image
        `L` for `L`, `RGB` otherwise; unchanged if there is nothing to convert, or no way to.
    problem : str
        Why the profile was not used; empty if it was.
    """
    if picture.mode == "LAB":
        profile = b""  # it says what LAB is on its own
    elif not profile or picture.mode not in _SPACES:
        return picture, ""
    conversion = _conversion(profile, picture.mode) if len(profile) <= MOST_BYTES else None
    if conversion is None:
        return picture, "its colour profile cannot be used"
    if isinstance(conversion, _Same):
        return picture, ""
    if isinstance(conversion, list):
        return picture.point(conversion), ""
    from PIL import ImageCms

    factor = min(picture.size) // enough if enough else 1
    small = picture.reduce(factor) if factor > 1 else picture
    return ImageCms.applyTransform(small, conversion) or small, ""


class _Same:
    """Nothing is to be done."""


@lru_cache(_KEPT)
def _conversion(profile: bytes, mode: str) -> Any:
    """Return how a picture is converted: a transform, a table for grey, `_Same`, or None if it cannot be."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile) if profile else ImageCms.createProfile("LAB"))
        if str(source.profile.xcolor_space).strip() != _SPACES[mode]:
            return _Same()  # an RGB profile in a grey picture: of no use, and of no harm
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL
        )
        samples = _samples(mode)
        converted = ImageCms.applyTransform(samples, transform)
        if converted is None:
            return None
    # lcms and Pillow raise whatever they like for what is no profile.
    except Exception:  # noqa: BLE001
        return None
    if mode == "L":
        table = [int(value) for value in np.asarray(converted.convert("L")).ravel()]
        return _Same() if max(abs(value - place) for place, value in enumerate(table)) <= _ROUNDING else table
    if mode == "RGB":
        apart = np.abs(np.asarray(converted, np.int16) - np.asarray(samples, np.int16))
        return _Same() if apart.max() <= _ROUNDING else transform
    return transform


def _samples(mode: str) -> Image.Image:
    """Return all shades of grey, or colours of all kinds."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.array([0, 16, 48, 96, 128, 160, 208, 240, 255], np.uint8)
    grid = np.stack(np.meshgrid(*[steps] * len(mode), indexing="ij"), axis=-1)
    return Image.frombytes(mode, (len(steps), grid.size // len(mode) // len(steps)), grid.tobytes())
