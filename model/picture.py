"""Picture files, read, decoded, and shown as a viewer shows them: upright, in sRGB, over white.

In: a path, or the bytes of a file. Out: a Pillow image in 8-bit grey or RGB, and what the file says about it.
Whatever a decoder raises or prints, here it becomes an `ImageError` that names the file.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from PIL import Image

from cbir.core.errors import first_line
from cbir.core.extras import to_install
from cbir.core.objects import ObjectError, is_object, read_object
from cbir.model import decoder
from cbir.model.camera_raw import raw_exif, raw_picture
from cbir.model.containers.parts import ContainerError
from cbir.model.details import Details
from cbir.model.errors import ImageError, PassingError
from cbir.model.exif import Exif
from cbir.model.exif import read as read_exif
from cbir.model.formats import FORMATS, SNIFFED_BYTES, missing_extra, sniff
from cbir.model.modes import GREY_MODES, flattened
from cbir.model.profile import in_srgb
from cbir.model.quiet import hush, quiet

#: Not even an uncompressed file of as many pixels as are decoded is larger; larger files are not read into memory.
MAX_BYTES = 8 * decoder.MAX_PIXELS

_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_ORIENTATION = 0x0112
#: What turns a picture upright, by its EXIF orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Formats by the names that people know.
_KNOWN_AS = {"HEIF": "HEIC", "RAW": "camera raw"}


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
        Mode `L` or `RGB`, as a viewer shows it.

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
        Missing, a folder or another thing that is no file, empty, unreadable, implausibly large, or not a picture.
    """
    given, path = str(path), Path(path)
    if is_object(given):
        return _read_object(given)
    try:
        _check(path, path.stat())  # a device is not even opened
        # Not to wait, should a pipe have taken the file's place since.
        with os.fdopen(os.open(path, _READING), "rb") as file:
            _check(path, os.fstat(file.fileno()))
            if sniff(file.read(SNIFFED_BYTES), given) is None:
                _refuse(given)
            file.seek(0)
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        hint = "; addresses are not read, save the picture first" if "://" in given else ""
        raise PassingError(f"{given} does not exist{hint}") from None
    except (OSError, ValueError, MemoryError) as error:
        raise PassingError(f"{path} cannot be read: {getattr(error, 'strerror', None) or first_line(error)}") from None


def _read_object(address: str) -> bytes:
    try:
        content = read_object(address, MAX_BYTES)
    except ObjectError as error:
        raise PassingError(str(error)) from None
    if sniff(content[:SNIFFED_BYTES], address) is None:
        _refuse(address)
    return content


def _check(path: Path, status: os.stat_result) -> None:
    """Refuse what is no file, or one that is empty or implausibly large."""
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{path} is a folder; name the picture files in it")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path} is not a file")
    if status.st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes)")
    if status.st_size > MAX_BYTES:
        size, most = status.st_size / 1e9, MAX_BYTES / 1e9
        raise ImageError(f"{path} has {size:.1f} GB; more than {most:.1f} GB are not read")


def decode(content: bytes, name: str, *, enough: int | None = None) -> Image.Image:
    """Decode the content of a picture file; see `decoded`, which returns the details too."""
    return decoded(content, name, enough=enough).picture


def decoded(content: bytes, name: str, *, enough: int | None = None) -> Decoded:
    """Decode the content of a picture file.

    Parameters
    ----------
    content : bytes
    name : str
        The file's, for messages, and for those few formats that only their ending tells.
    enough : int, optional
        As of `open_image`.

    Returns
    -------
    Decoded
        The picture in mode `L` or `RGB`, upright, in sRGB, over white; and the details.

    Raises
    ------
    ImageError
        Not a picture, one that is damaged beyond what a viewer forgives, or implausibly large.
    """
    with _named(name):
        form = _format(content, name)
        picture, details = (_raw if form == "RAW" else partial(_picture, form))(content, name, enough)
        picture.info = {"path": name}
        return Decoded(picture, details)


def details_of(content: bytes, name: str) -> Details:
    """Return the details of a picture's file without decoding it; parameters and errors as of `decoded`."""
    with _named(name):
        form = _format(content, name)
        if form == "RAW":
            raw = raw_picture(content, developed=False)
            return _details((raw.width, raw.height), form, raw_exif(content))
        parts = decoder.taken_apart(form, content)
        image = decoder.opened(form, parts.stream)
        said = _said(form, parts.exif, image)
        return _details(_turned_size(image.size, said.orientation), form, said, parts.problem)


def upright(image: Image.Image, name: str = "the picture", *, enough: int | None = None) -> Image.Image:
    """Decode a Pillow image, and show it as a viewer would.

    Parameters
    ----------
    image : PIL.Image.Image
        In any mode, with EXIF and a profile if it was read from a file; itself left as it is.
    name : str
        For messages.
    enough : int, optional
        As of `open_image`.

    Raises
    ------
    ImageError
        If it cannot be decoded.
    """
    with _named(name):
        image.load()
        image.info["path"] = name
        try:
            orientation = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # noqa: BLE001 - Pillow raises whatever it likes; then there is no orientation
            orientation = 1
        profile = image.info.get("icc_profile")
        shown, _ = _shown(image, orientation, profile if isinstance(profile, bytes) else b"", enough)
        shown = shown.copy() if shown is image else shown
        shown.info = {"path": name}
        return shown


def _format(content: bytes, name: str) -> str:
    form = sniff(content[:SNIFFED_BYTES], name)
    if form is None:
        _refuse(name)
    if extra := missing_extra(form):
        known_as = _KNOWN_AS.get(form, form)
        raise ImageError(f"{name} is {known_as}; to read such pictures: {to_install(extra)}")
    return form


def _refuse(name: str) -> NoReturn:
    readable = dict.fromkeys(_KNOWN_AS.get(known.name, known.name) for known in FORMATS)
    raise ImageError(f"{name} is not a picture in a format that can be read ({', '.join(readable)})")


def _picture(
    form: str, content: bytes, name: str, enough: int | None, turned: int | None = None
) -> tuple[Image.Image, Details]:
    """Decode a picture, which lies in its file `turned`, whatever it says itself, if that is given."""
    parts = decoder.taken_apart(form, content)
    pixels = decoder.decoded(form, parts, enough)
    said = _said(form, parts.exif, pixels.image)
    orientation = said.orientation if turned is None else turned
    pixels.image.info["path"] = name
    profile = parts.profile or pixels.image.info.get("icc_profile") or b""
    shown, odd = _shown(pixels.image, orientation, profile, enough)
    return shown, _details(_turned_size(pixels.size, orientation), form, said, pixels.problem, odd)


def _raw(content: bytes, name: str, enough: int | None) -> tuple[Image.Image, Details]:
    raw, said = raw_picture(content), raw_exif(content)
    if raw.pixels is not None:
        picture, odd = Image.fromarray(raw.pixels), ""
    else:
        picture, preview = _picture("JPEG", raw.jpeg, name, enough, raw.orientation)
        odd = preview.warning or ""
    return picture, _details((raw.width, raw.height), "RAW", said, odd)


def _said(form: str, block: bytes, image: Image.Image) -> Exif:
    """Return what EXIF says: what was taken out of the file, or, where nothing can be, what the decoder found."""
    if form not in decoder.TAKEN_APART:
        block = image.info.get("exif") or b""
    return read_exif(block.removeprefix(b"Exif\0\0"))


def _details(size: tuple[int, int], form: str, said: Exif, *problems: str) -> Details:
    warning = "; ".join(filter(None, problems)) or None
    return Details(*size, form, said.taken_at, said.camera, said.lens, said.gps, warning)


def _turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return size if orientation < 5 else (size[1], size[0])


def _shown(image: Image.Image, orientation: object, profile: bytes, enough: int | None) -> tuple[Image.Image, str]:
    """Return a decoded picture as a viewer shows it, and what is odd about it."""
    flat = flattened(image, enough)
    shown, odd = in_srgb(flat, profile, enough)
    if shown.mode not in ("L", "RGB"):
        shown = shown.convert("L" if shown.mode in GREY_MODES else "RGB")
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return (shown if turn is None else shown.transpose(turn)), odd


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn whatever is raised into an error that names the file, and keep what is printed to itself."""
    hush()
    try:
        with quiet():
            yield
    except ImageError:
        raise
    except (ContainerError, decoder.TooLargeError) as error:
        raise ImageError(f"{name} cannot be read: {error}") from None
    except Image.DecompressionBombError:
        most = decoder.MAX_PIXELS / 1e6
        raise ImageError(f"{name} cannot be read: it has more than {most:.0f} million pixels") from None
    except MemoryError:
        raise PassingError(f"{name} cannot be read: there is not enough memory") from None
    except BaseException as error:
        # A decoder in Rust that fails raises what is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ImageError(f"{name} is damaged, or of a kind that cannot be read ({_words(error)})") from None


def _words(error: BaseException) -> str:
    """Return what a decoder says, with the kind of the error where that alone says something."""
    said = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else None
    words = getattr(error, "strerror", None) or said or first_line(error)
    return words if " " in words else f"{type(error).__name__}: {words}"
