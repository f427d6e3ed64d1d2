"""Pictures of any Pillow mode as 8-bit grey or RGB: deep grey scaled, transparency laid over white.

In: a Pillow image. Out: a Pillow image of mode `L` or `RGB`.
White is the one ground: as viewers show it, and two versions of a picture never
get different ones. Work goes strip by strip, each reduced at once where a
smaller picture suffices: at no time is there a second picture of full size.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from cbir.core.errors import first_line
from cbir.model.errors import ImageError

#: Modes of a single channel of light, with or without transparency.
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
#: Modes with a channel of transparency.
_CLEAR_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
#: What needs no conversion here but, at most, one of colours.
_PLAIN = ("L", "RGB", "CMYK")
#: Pixels of a strip.
_STRIP = 1 << 21
#: Larger pictures that are converted are reduced first even where neither depth nor transparency asks for it.
_LARGE = 1 << 24
#: Greatest values of deep grey, by the bits that cameras, scanners and microscopes have.
_DEPTHS = (255, 1023, 4095, 16383, 65535)
#: Share of a picture's values that may lie outside of the range that the others imply, and by how much of it.
_OUTLIERS, _OVERSHOOT = 0.001, 0.05
#: Values that are looked at to find a range.
_SAMPLED = 1 << 20


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
    flat = flattened(image)
    try:
        return flat.convert(mode)
    except ValueError as error:
        raise ImageError(f"{_name(image)} is of a kind that cannot be shown: {first_line(error)}") from None


def flattened(image: Image.Image, enough: int | None = None) -> Image.Image:
    """Take transparency and depth from a picture.

    Parameters
    ----------
    image : PIL.Image.Image
    enough : int, optional
        Pixels of the shorter side that suffice: what has to be worked on may be reduced to no less. By default whole.

    Returns
    -------
    PIL.Image.Image
        Mode `L`, `RGB` or `CMYK`, or one that Pillow converts to these directly; without transparency.

    Raises
    ------
    ImageError
        As of `in_mode`.
    """
    deep, transparent = _is_deep(image.mode), _is_transparent(image)
    if not deep and not transparent and (image.mode in _PLAIN or image.width * image.height <= _LARGE):
        return image
    factor = max(1, min(image.size) // enough) if enough else 1
    scale = _scale(image) if deep else None
    grey = image.mode in GREY_MODES
    size = -(-image.width // factor), -(-image.height // factor)
    result = Image.new("L" if grey else "RGB", size)
    for top, strip in _strips(image, factor):
        if transparent:
            flat = _over_white(strip, scale)
        elif scale is not None:
            flat = _eight_bits(strip, scale)
        else:
            flat = strip
        try:
            flat = flat.convert(result.mode)
        except ValueError as error:
            raise ImageError(f"{_name(image)} is of a kind that cannot be shown: {first_line(error)}") from None
        result.paste(flat.reduce(factor) if factor > 1 else flat, (0, top // factor))
    if "path" in image.info:
        result.info["path"] = image.info["path"]
    return result


def _strips(image: Image.Image, factor: int) -> Iterator[tuple[int, Image.Image]]:
    """Yield parts of a picture over its whole width, each with its top, which is a multiple of `factor`."""
    height = max(1, _STRIP // (image.width * factor)) * factor
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def _is_deep(mode: str) -> bool:
    return mode in ("I", "F") or mode.startswith("I;16")


def _is_transparent(image: Image.Image) -> bool:
    """Tell whether some of a picture is transparent, by a channel of its own, or because of its colour."""
    if image.mode in _CLEAR_MODES:
        return True
    clear = image.info.get("transparency")
    if _is_deep(image.mode):
        return isinstance(clear, int)
    return clear is not None and image.mode in ("1", "L", "P", "RGB")


def _over_white(strip: Image.Image, scale: tuple[float, float] | None) -> Image.Image:
    """Lay a transparent picture over white."""
    if scale is not None:  # the one value that is transparent
        clear = np.asarray(strip) == strip.info["transparency"]
        flat = np.array(_eight_bits(strip, scale))
        flat[clear] = 255
        return Image.fromarray(flat)
    mode = "LA" if strip.mode in ("LA", "La") else "RGBA"
    clear = strip if strip.mode == mode else strip.convert(mode)
    if mode == "LA":
        ground = Image.new("L", strip.size, 255)
        ground.paste(clear.getchannel("L"), mask=clear.getchannel("A"))
    else:
        ground = Image.new("RGB", strip.size, "white")
        ground.paste(clear, mask=clear)
    return ground


def _eight_bits(strip: Image.Image, scale: tuple[float, float]) -> Image.Image:
    low, step = scale
    return Image.fromarray(np.rint(np.clip((np.asarray(strip, np.float64) - low) * step, 0, 255)).astype(np.uint8))


def _scale(image: Image.Image) -> tuple[float, float]:
    """Return the value that is black, and by what the difference to it is multiplied, by the range the values imply."""
    low, high = _range(image)
    if image.mode == "F" and low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= _DEPTHS[-1]:
        low, high = 0.0, float(next(depth for depth in _DEPTHS if high <= depth))
    return low, 255 / (high - low) if high > low else 0.0


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the least and the greatest of a picture's values, of floats but for a few.

    Raises
    ------
    ImageError
        NaN or infinite values.
    """
    if image.mode != "F":
        low, high = image.getextrema()
        return float(low), float(high)  # type: ignore[arg-type] # of a single channel
    every = -(-image.width * image.height // _SAMPLED)
    samples = []
    for _, strip in _strips(image, 1):
        values = np.asarray(strip).ravel()
        if not np.isfinite(values).all():
            raise ImageError(f"{_name(image)} holds NaN or infinite pixel values")
        samples.append(values[::every])
    low, high = np.quantile(np.concatenate(samples), [_OUTLIERS, 1 - _OUTLIERS])
    return float(low), float(high)


def _name(image: Image.Image) -> str:
    return str(image.info.get("path", "the picture"))
