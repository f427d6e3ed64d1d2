"""Pictures of any Pillow mode as 8-bit grey or RGB: deep grey scaled, transparency laid over a plain ground.

In: a Pillow image. Out: a Pillow image of mode `L` or `RGB`.
"""

import numpy as np
from PIL import Image, ImageOps

from cbir.core.errors import first_line
from cbir.model.errors import ImageError

#: Modes of a single channel of light, with or without transparency.
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def invert(image: Image.Image) -> Image.Image:
    """Swap dark and light, keeping colour pictures in colour."""
    return ImageOps.invert(eight_bit(image))


def eight_bit(image: Image.Image) -> Image.Image:
    """Return a picture of any mode as 8-bit grey or RGB."""
    return in_mode(image, "L" if image.mode in GREY_MODES else "RGB")


def is_grey(picture: Image.Image) -> bool:
    """Tell whether a picture has no colour, whatever its mode."""
    if picture.mode in GREY_MODES:
        return True
    channels = np.asarray(in_mode(picture, "RGB").resize((16, 16)), dtype=np.int16)
    # JPEG moves the channels of a grey picture by a step or two.
    return bool(np.ptp(channels, axis=2).max() <= 4)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert a picture of any mode to `L` or `RGB`.

    Raises
    ------
    ImageError
        NaN or infinite values (possible in float TIFFs), or a mode that Pillow cannot convert.
    """
    if image.mode == mode:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _from_deep_grey(image)
    elif image.has_transparency_data:
        image = _over_contrasting_ground(image)
    try:
        return image.convert(mode)
    except ValueError as error:
        raise ImageError(f"{_name(image)} is of a kind that cannot be shown: {first_line(error)}") from None


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float grey to 8 bits by the range the values imply."""
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ImageError(f"{_name(image)} holds NaN or infinite pixel values")
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 1 and image.mode == "F":
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    elif low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    scale = 255 / (high - low) if high > low else 0.0
    return Image.fromarray(np.rint((values - low) * scale).astype(np.uint8))


def _over_contrasting_ground(image: Image.Image) -> Image.Image:
    """Lay a transparent picture over black or white, whichever shows its ink."""
    rgba = image.convert("RGBA")
    grey_alpha = np.asarray(rgba.convert("LA"), dtype=np.float64)
    opacity = grey_alpha[..., 1]
    ink = (grey_alpha[..., 0] * opacity).sum() / max(opacity.sum(), 1.0)
    ground = Image.new("RGBA", rgba.size, "black" if opacity.any() and ink > 127 else "white")
    return Image.alpha_composite(ground, rgba).convert("RGB")


def _name(image: Image.Image) -> str:
    return str(image.info.get("path", "the picture"))
