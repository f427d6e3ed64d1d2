"""Picture files, read, decoded and turned upright.

In: a path, or the bytes of a file. Out: a Pillow image as a viewer would show it.
"""

import io
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from cbir.core.errors import first_line
from cbir.model.details import Details
from cbir.model.errors import ImageError
from cbir.model.formats import FORMATS, open_format

#: Pillow refuses pictures above twice its own warning level; so do we.
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
#: Not even an uncompressed file of `MAX_PIXELS` is larger; larger files are not read into memory.
MAX_BYTES = 8 * MAX_PIXELS

#: What Pillow's decoders raise for damaged files, and the system for unreadable ones.
_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, MemoryError)

_FILTERS = threading.Lock()


@dataclass(frozen=True)
class Decoded:
    """A picture, and what its file says about it."""

    picture: Image.Image
    details: Details


def open_image(path: str | Path, *, enough: int | None = None) -> Image.Image:
    """Open and decode a picture file.

    Parameters
    ----------
    path : str or Path
    enough : int, optional
        Pixels of the shorter side that suffice (`Preprocessing.enough`): where that takes less time or memory, the
        picture is decoded no larger than that needs. By default whole.

    Returns
    -------
    PIL.Image.Image
        Decoded, turned upright by its EXIF orientation.

    Raises
    ------
    ImageError
        Missing, a folder, empty, not a picture, truncated, or implausibly large.
    """
    return decode(read_file(path), str(path), enough=enough)


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


def decode(content: bytes, name: str, *, enough: int | None = None) -> Image.Image:
    """Decode the content of a picture file; see `decoded`, which returns the details too."""
    return decoded(content, name, enough=enough).picture


def decoded(content: bytes, name: str, *, enough: int | None = None) -> Decoded:  # noqa: ARG001
    """Decode the content of a picture file.

    Parameters
    ----------
    content : bytes
    name : str
        The file's, for messages.
    enough : int, optional
        As of `open_image`.

    Returns
    -------
    Decoded
        The picture upright by its EXIF orientation, and the details.

    Raises
    ------
    ImageError
        Not a picture, truncated, or implausibly large.
    """
    try:
        with _opened(content) as image:
            shown = upright(image, name)
            return Decoded(shown, Details(*shown.size, format=_format(image)))
    except Image.DecompressionBombError:
        raise ImageError(
            f"{name} unpacks to more than {MAX_PIXELS / 1e6:.0f} million pixels; scale it down first if it is genuine"
        ) from None
    except UnidentifiedImageError:
        readable = ", ".join(dict.fromkeys(known.name for known in FORMATS if known.name in Image.OPEN))
        raise ImageError(f"{name} is not a picture in a format that can be read ({readable})") from None
    except _UNDECODABLE as error:
        cause = getattr(error, "strerror", None) or first_line(error)
        raise ImageError(f"{name} cannot be read: {cause}") from None


def details_of(content: bytes, name: str) -> Details:
    """Return the details of a picture's file without decoding it; parameters and errors as of `decoded`."""
    return decoded(content, name).details


def _format(image: Image.Image) -> str:
    return {"MPO": "JPEG", None: ""}.get(image.format, image.format or "")


def _opened(content: bytes) -> Image.Image:
    """Read a picture's header, without Pillow's warning of large pictures: between one and two times its level."""
    # The warning filters belong to the process: two threads that change and restore them would leave a change behind.
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return open_format(io.BytesIO(content))


def upright(image: Image.Image, name: str = "the picture", *, enough: int | None = None) -> Image.Image:  # noqa: ARG001
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
