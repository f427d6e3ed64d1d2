"""One format, one decoder: a picture's stream becomes pixels, no more of them than needed, or than fit into memory.

In: what `cbir.model.containers` took out of a file. Out: a decoded Pillow image, not yet as a viewer shows it.
"""

import importlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from cbir.core.turn import turn
from cbir.model.containers import boxes, jpeg, png, tiff, webp
from cbir.model.containers.parts import ContainerError, Parts

#: Pillow refuses pictures above twice its own warning level; so do we. What counts is what is decoded.
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
#: Bytes of memory that decoding takes at most, and above which it is done for one picture at a time.
_MOST_MEMORY, _MUCH_MEMORY = 1_100_000_000, 1 << 27
#: Bytes a pixel that decoders take, as measured; others take 4.
_COSTS = {"WEBP": 8, "AVIF": 13, "HEIF": 12, "JPEG2000": 16, "TIFF": 6}
#: WebP of more pixels is decoded by OpenCV: Pillow takes 16 bytes a pixel, as for an animation.
_LARGE_WEBP = 1 << 24
#: Share of a picture that must be there.
_LEAST_LEFT = 0.5
#: What libjpeg makes of missing data in grey or RGB.
_MISSING = 128
#: Times by which a JPEG can be reduced while it is decoded; and JPEG 2000, as powers of 2.
_JPEG_STEPS, _MOST_HALVINGS = (1, 2, 4, 8), 5

#: Pillow takes memory for pixels in blocks of 16 MB, which glibc keeps for the thread that gave them back; larger ones
#: go back to the system. Six pictures of 100 megapixels in as many threads: 2,054 MB, and 533 with this.
_BLOCK = 1 << 27

Image.core.set_block_size(_BLOCK)  # type: ignore[attr-defined]

TAKEN_APART: dict[str, Callable[[bytes], Parts]] = {
    "JPEG": jpeg.parts,
    "PNG": png.parts,
    "WEBP": webp.parts,
    "TIFF": tiff.parts,
}
#: Formats whose pixels mostly stand in the file as they are: where the end is missing, zeros can take its place.
_PADDED = ("BMP", "PPM", "TGA", "TIFF")


class TooLargeError(Exception):
    """A picture of more pixels than are decoded: `found`, and at `most`."""

    def __init__(self, found: int, most: int) -> None:
        super().__init__(
            f"it has {found / 1e6:,.0f} million pixels; more than {most / 1e6:.0f} million are not decoded"
        )


@dataclass(frozen=True)
class Pixels:
    """A decoded picture.

    Attributes
    ----------
    image : PIL.Image.Image
        In any mode, and as it lies in the file.
    size : (int, int)
        Width and height of the whole, of which the image may be a reduced version.
    problem : str
        What is odd; empty if nothing is.
    """

    image: Image.Image
    size: tuple[int, int]
    problem: str = ""


def taken_apart(form: str, content: bytes) -> Parts:
    """Return what a decoder needs of a file, and what else the file says.

    Raises
    ------
    ContainerError
        There are no pixels in it.
    """
    return TAKEN_APART.get(form, Parts)(content)


def opened(form: str, stream: bytes) -> Any:
    """Open a picture's stream with the decoder of one format, which reads its header only.

    Raises
    ------
    Exception
        Whatever the decoder raises.
    """
    if form == "HEIF":
        return importlib.import_module("pillow_heif.as_plugin").HeifImageFile(io.BytesIO(stream))
    Image.preinit()  # the most common formats; all take 30 ms to import
    if form not in Image.OPEN:
        Image.init()
    if form not in Image.OPEN:
        raise ContainerError(f"this installation of Pillow does not read {form}")
    open_stream = Image.OPEN[form][0]
    try:
        return open_stream(io.BytesIO(stream), "")
    except Exception:
        if form != "AVIF" or (other := boxes.without_exif(stream)) == stream:
            raise
        return open_stream(io.BytesIO(other), "")


def decoded(form: str, parts: Parts, enough: int | None) -> Pixels:
    """Decode a picture.

    Parameters
    ----------
    form : str
        A name of `cbir.model.formats.FORMATS`.
    parts : Parts
        What was taken out of the file.
    enough : int or None
        Pixels of the shorter side that suffice, where decoding less is possible.

    Raises
    ------
    TooLargeError, ContainerError
        More pixels than are decoded; or more than half of them are missing.
    Exception
        Whatever the decoder raises.
    """
    if form == "WEBP" and _count(size := webp.canvas(parts.stream) or (0, 0)) > _LARGE_WEBP:
        with _room(form, size):
            return Pixels(_by_opencv(parts.stream), size)
    image = opened(form, parts.stream)
    size = image.size
    try:
        _load(form, image, enough)
    except (TooLargeError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise whatever they like
        image = None  # its memory
        return _mended(form, parts.stream, size, error)
    if form == "JPEG" and parts.problem:
        return Pixels(image, size, _checked(image, parts.problem))
    return Pixels(image, size, parts.problem)


def _load(form: str, image: Any, enough: int | None) -> None:
    """Decode what was opened, reduced where that is possible and enough, or necessary."""
    size = image.size
    if form == "JPEG":
        times = _reduction(form, size, enough, _JPEG_STEPS)
        if times > 1:
            image.draft(None, (size[0] // times, size[1] // times))
    elif form == "JPEG2000":
        times = _reduction(form, size, enough, tuple(2**power for power in range(_halvings(image) + 1)))
        if times > 1:
            image.reduce = times.bit_length() - 1
    elif form == "HEIF" and _count(size) > _most(form):
        image.draft(None, (enough or 512, enough or 512))  # its thumbnail, if there is one
    with _room(form, image.size):
        image.load()


def _reduction(form: str, size: tuple[int, int], enough: int | None, steps: tuple[int, ...]) -> int:
    """Return by how much a picture is reduced: as much as is enough, and as fits."""
    fitting = [times for times in steps if _count((size[0] // times, size[1] // times)) <= _most(form)]
    wanted = [times for times in steps if enough and min(size) // times >= enough]
    return max(wanted[-1] if wanted else 1, fitting[0] if fitting else steps[-1])


def _halvings(image: Any) -> int:
    """Return how often a JPEG 2000 picture can be halved while it is decoded: what its coding says."""
    image.fp.seek(0)
    head = image.fp.read(1 << 16)
    style = head.find(b"\xff\x52")
    image.fp.seek(0)
    return min(head[style + 9], _MOST_HALVINGS) if 0 <= style < len(head) - 9 else 0


def _count(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _most(form: str) -> int:
    return min(MAX_PIXELS, _MOST_MEMORY // _COSTS.get(form, 4))


@contextmanager
def _room(form: str, size: tuple[int, int]) -> Iterator[None]:
    """Wait, with a picture that takes much memory, until no other such picture is being decoded."""
    if _count(size) > _most(form):
        raise TooLargeError(_count(size), _most(form))
    much = _count(size) * _COSTS.get(form, 4) > _MUCH_MEMORY
    with turn() if much else nullcontext():
        yield


def _by_opencv(stream: bytes) -> Image.Image:
    import cv2

    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        array = cv2.imdecode(np.frombuffer(stream, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if array is None:
        raise ContainerError("it is truncated or damaged")
    mode, order = ("RGBA", "BGRA") if array.shape[2:] == (4,) else ("RGB", "BGR")
    return Image.frombuffer(mode, (array.shape[1], array.shape[0]), array, "raw", order, 0, 1)


def _checked(image: Image.Image, problem: str, blank: int = _MISSING) -> str:
    """Say what is missing of a picture without an end: its last rows are `blank`, all channels, give or take a step.

    Raises
    ------
    ContainerError
        More than half of it.
    """
    rows = np.asarray(image).reshape(image.height, image.width, -1)
    last = rows[-1, -1]
    missing = 0.0
    if image.mode == "CMYK" or np.abs(last.astype(np.int16) - blank).max() <= 1:
        # From the last row that shows something on.
        for shown in range(image.height, 0, -1):
            if (rows[shown - 1] != last).any():
                break
            missing = 1 - (shown - 1) / image.height
    if missing > 1 - _LEAST_LEFT:
        raise ContainerError(f"it is truncated: {missing:.0%} of it is missing")
    return f"{problem}, {missing:.0%} of the picture" if missing >= 0.005 else problem


def _mended(form: str, stream: bytes, size: tuple[int, int], error: Exception) -> Pixels:
    """Decode a picture whose end is missing, if at least half of it is there; else raise the decoder's error."""
    problem = "the end is missing"
    truncated = "truncated" in str(error)
    if form == "PNG":
        stream, problem = png.mended(stream)
    elif form in _PADDED and truncated:
        stream += bytes(len(stream))  # so at most half of it
    elif form != "GIF" or not truncated:
        raise error
    image = opened(form, stream)
    try:
        _load(form, image, None)
    except Exception:  # noqa: BLE001 - what was wrong in the first place is said
        if form != "GIF":
            raise error from None
        problem = _as_far_as_it_goes(image, problem)
    return Pixels(image, size, problem)


def _as_far_as_it_goes(image: Any, problem: str) -> str:
    """Keep what has been decoded of a GIF; lines of an interlaced one that are missing become the one above.

    Raises
    ------
    ContainerError
        More than half of it is missing.
    """
    interlaced = bool(image.tile and image.tile[0][3][1])
    image.tile = []  # nothing is left to be decoded
    if not interlaced:
        return _checked(image, problem, 0)
    missing = np.flatnonzero(~np.asarray(image).any(axis=1))
    if len(missing) > (1 - _LEAST_LEFT) * image.height:
        raise ContainerError(f"it is truncated: {len(missing) / image.height:.0%} of it is missing")
    for line in missing:
        image.paste(image.crop((0, max(0, line - 1), image.width, max(1, line))), (0, line))
    return f"{problem}, {len(missing) / image.height:.0%} of the lines"
