"""Pictures as they come, made into the pixels an encoder was trained on.

In: a path or a Pillow image of any size, mode and orientation. Out: uint8
pixels of one fixed shape. What is done is part of the encoder's
fingerprint, so a query is always treated as the database was.
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cbir.core.errors import CbirError, first_line

#: Pillow refuses pictures above twice its own warning level; so do we.
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
#: A file of so many pixels is not larger even if it is not compressed; larger ones are not read into memory.
MAX_BYTES = 8 * MAX_PIXELS

#: What Pillow's decoders raise for damaged files, and the system for unreadable ones.
_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, MemoryError)


class ImageError(CbirError):
    """A picture that cannot be read; the message names the file and says why."""


def open_image(path: str | Path) -> Image.Image:
    """Open and fully decode a picture file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    PIL.Image.Image
        Decoded, turned upright by its EXIF orientation.

    Raises
    ------
    ImageError
        Missing, a folder, empty, not a picture, truncated, or implausibly large.
    """
    return decode(read_file(path), str(path))


def read_file(path: str | Path) -> bytes:
    """Return the bytes of a picture file, for `decode` and for a hash.

    Raises
    ------
    ImageError
        Missing, a folder, empty, unreadable, or implausibly large.
    """
    given, path = str(path), Path(path)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; name the picture files in it")
        size = path.stat().st_size
        if size == 0:
            raise ImageError(f"{path} is empty (0 bytes)")
        if size > MAX_BYTES:
            raise ImageError(f"{path} has {size / 1e9:.1f} GB; more than {MAX_BYTES / 1e9:.1f} GB are not read")
        return path.read_bytes()
    except FileNotFoundError:
        hint = "; addresses are not read, save the picture first" if "://" in given else ""
        raise ImageError(f"{given} does not exist{hint}") from None
    except (OSError, ValueError, MemoryError) as error:
        raise ImageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or first_line(error)}") from None


def decode(content: bytes, name: str) -> Image.Image:
    """Decode the content of a picture file.

    Parameters
    ----------
    content : bytes
    name : str
        The file's, for messages.

    Returns
    -------
    PIL.Image.Image
        Turned upright by its EXIF orientation.

    Raises
    ------
    ImageError
        Not a picture, truncated, or implausibly large.
    """
    try:
        with warnings.catch_warnings():
            # Between one and two times Pillow's level it only warns; large photos are fine.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                return upright(image, name)
    except Image.DecompressionBombError:
        raise ImageError(
            f"{name} unpacks to more than {MAX_PIXELS / 1e6:.0f} million pixels; scale it down first if it is genuine"
        ) from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture that Pillow can read") from None
    except _UNDECODABLE as error:
        cause = getattr(error, "strerror", None) or first_line(error)
        raise ImageError(f"{name} cannot be read: {cause}") from None


def upright(image: Image.Image, name: str = "the picture") -> Image.Image:
    """Decode a Pillow image and turn it as its EXIF orientation says.

    Raises
    ------
    ImageError
        If it cannot be decoded.
    """
    try:
        turned = ImageOps.exif_transpose(image)
    except _UNDECODABLE as error:
        raise ImageError(f"{name} cannot be decoded: {first_line(error)}") from None
    turned.info["path"] = name
    return turned


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes encoder input: size, channels, aspect ratio kept.

    The picture is converted to grey or RGB (transparency laid over whichever
    of black and white shows it), scaled to fit, and padded to the full size
    with the median of its own border, so that the padding continues the
    picture's background.

    Parameters
    ----------
    height, width : int
        Encoder input size in pixels.
    channels : int
        1 (grey) or 3 (RGB).
    """

    height: int
    width: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Encoder input shape, (height, width, channels)."""
        return self.height, self.width, self.channels

    def describe(self) -> dict[str, object]:
        """What the fingerprint covers, as JSON values."""
        return {"shape": list(self.shape), "fit": "contain", "resample": "bicubic", "pad": "border median"}

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Convert one picture.

        Parameters
        ----------
        image : PIL.Image.Image

        Returns
        -------
        ndarray of uint8, shape (height, width, channels)

        Raises
        ------
        ImageError
            If the picture holds NaN or infinite values (possible in float TIFFs).
        """
        image = _in_mode(image, "L" if self.channels == 1 else "RGB")
        if image.size != (self.width, self.height):
            image = self._fit(image)
        return np.asarray(image).reshape(self.shape)

    def _fit(self, image: Image.Image) -> Image.Image:
        scale = min(self.width / image.width, self.height / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        if size == (self.width, self.height):
            return small
        canvas = Image.new(small.mode, (self.width, self.height), ground(small))
        canvas.paste(small, ((self.width - size[0]) // 2, (self.height - size[1]) // 2))
        return canvas


#: A square encoder input's side: what networks can halve, and what two cores can train.
SIDES = range(16, 257, 16)


@dataclass(frozen=True)
class Look:
    """What decides the encoder input that suits a picture: is it `grey`, and the pixels of its longer side."""

    grey: bool
    longest: int


def look(picture: Image.Image) -> Look:
    """Look at a picture."""
    return Look(_is_grey(picture), max(picture.size))


def suited(looks: Sequence[Look], side: int | None = None) -> Preprocessing:
    """Choose the encoder input that suits a sample of pictures.

    Grey if all are grey, else colour. Small pictures (half of them at most 48
    pixels long): 28x28 in grey, the article's, and 32x32 in colour. Others: 64x64.

    Parameters
    ----------
    looks : sequence of Look
    side : int, optional
        Height and width to use instead: 28, or one of `SIDES`.

    Raises
    ------
    ImageError
        A side that cannot be.
    """
    if side is not None and side != 28 and side not in SIDES:
        raise ImageError(f"size must be 28, or a multiple of 16 from {SIDES[0]} to {SIDES[-1]}, not {side}")
    grey = all(each.grey for each in looks)
    small = not looks or float(np.median([each.longest for each in looks])) <= 48
    return _input(grey, small, side)


def possible_inputs(looked: Look, side: int | None = None) -> set[Preprocessing]:
    """Return what `suited` may choose for a sample that holds this picture."""
    return {_input(grey, small, side) for grey in {looked.grey, False} for small in (True, False)}


def _input(grey: bool, small: bool, side: int | None) -> Preprocessing:
    side = side or ((28 if grey else 32) if small else 64)
    return Preprocessing(height=side, width=side, channels=1 if grey else 3)


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode in _GREY_MODES:
        return True
    channels = np.asarray(_in_mode(picture, "RGB").resize((16, 16)), dtype=np.int16)
    # JPEG moves the channels of a grey picture by a step or two.
    return bool(np.ptp(channels, axis=2).max() <= 4)


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """Turn uint8 pixels of any shape into float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Turn floats of any shape into the nearest uint8; what is outside of [0, 1] is clipped."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


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
    """Median border brightness of each picture.

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


def invert(image: Image.Image) -> Image.Image:
    """Swap dark and light, keeping colour pictures in colour."""
    return ImageOps.invert(eight_bit(image))


def eight_bit(image: Image.Image) -> Image.Image:
    """Return a picture of any mode as 8-bit grey or RGB."""
    return _in_mode(image, "L" if image.mode in _GREY_MODES else "RGB")


_GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
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
