"""Files that nobody has looked at yet are decoded in worker processes: each call has bounded time, pixels and memory.

In: the bytes of a picture's file. Out: its size, an encoder's pixels, or a WebP to show. A decoder that crashes, never
ends or wants all memory fails alone, and the request with it. What a file is, its first bytes say, never its name.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from cbir.core.memory import bounded_memory
from cbir.core.processes import ProcessError, Processes, usual_processes
from cbir.model.errors import ImageError, PassingError
from cbir.model.formats import SNIFFED_BYTES, sniff

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from PIL import Image

    from cbir.model.preprocessing import Preprocessing
    from cbir.serve.schemas import Box

P = ParamSpec("P")
R = TypeVar("R")

#: Bytes of memory for one file: the largest pictures take 1.1 GB to decode, and are then shown in RGB over white.
_MEMORY = 3 << 30
#: Pixels of the shorter side that an upload is decoded to, to see whether it can be.
_TRIED = 720
#: Smaller pictures are kept without loss: their pixels are seen one by one.
_TINY = 64
_QUALITY, _EFFORT = 80, 3


class UnsupportedFormatError(ImageError):
    """The file is no picture of a format that is read."""


class Decoding:
    """Decodes files in worker processes; threads share it.

    Parameters
    ----------
    most_pixels : int
        Of a picture; what announces more is not decoded.
    seconds : float
        For one file.
    """

    def __init__(self, most_pixels: int, seconds: float = 30.0) -> None:
        self._most_pixels = most_pixels
        self._seconds = seconds
        self._processes = Processes(max(1, usual_processes()), apart=True)

    def size(self, content: bytes, name: str) -> tuple[int, int]:
        """Return the width and height of an upright picture, which can be decoded; `ImageError` if it cannot be."""
        return self._call(_size, content, name)

    def pixels(
        self, content: bytes, name: str, preprocessing: Preprocessing, box: Box | None = None, *, inverted: bool = False
    ) -> np.ndarray:
        """Return what an encoder sees of a picture, or of a part of it, (h, w, c) uint8; ImageError as above."""
        return self._call(_pixels, content, name, preprocessing, box, inverted)

    def seen(self, content: bytes, name: str, preprocessing: Preprocessing) -> tuple[np.ndarray, dict[str, Any]]:
        """Return what an encoder sees of a picture, and what its file says of it, as fields; ImageError as above."""
        return self._call(_seen, content, name, preprocessing)

    def picture(self, content: bytes, name: str, *, enough: int | None = None) -> Image.Image:
        """Return a picture as `cbir.model.picture.decode` does; ImageError as above."""
        return self._call(_picture, content, name, enough)

    def explained(
        self, content: bytes, name: str, preprocessing: Preprocessing, box: Box | None = None
    ) -> tuple[np.ndarray, list[str]]:
        """Return what an encoder sees of a picture, or of a part of it, and how it came about; ImageError as above."""
        return self._call(_explained, content, name, preprocessing, box)

    def webp(self, content: bytes, name: str, side: int) -> bytes:
        """Return a picture as WebP, upright, of at most `side` pixels a side; ImageError as above."""
        return self._call(_webp, content, name, side)

    def close(self) -> None:
        """End what is being decoded."""
        self._processes.close()

    def _call(
        self,
        function: Callable[Concatenate[int, bytes, str, P], R],
        content: bytes,
        name: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        if sniff(content[:SNIFFED_BYTES], name) is None:
            raise UnsupportedFormatError(f"{name} is not a picture in a format that can be read")
        try:
            return self._processes.call(self._seconds, function, self._most_pixels, content, name, *args, **kwargs)
        except ProcessError as error:
            raise PassingError(f"{name} cannot be decoded: {error}") from None
        except MemoryError:
            raise PassingError(f"{name} cannot be decoded: there is not enough memory for it") from None


def cropped(picture: Image.Image, box: Box | None) -> Image.Image:
    """Return the part of an upright picture that a box names, of one pixel at least; without a box, all of it."""
    if box is None:
        return picture
    left, top = (min(math.floor(low * side), side - 1) for low, side in zip(box[:2], picture.size, strict=True))
    right, bottom = (math.ceil(high * side) for high, side in zip(box[2:], picture.size, strict=True))
    return picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def as_webp(picture: Image.Image, side: int) -> bytes:
    """Return a picture as WebP of at most `side` pixels a side; small ones are not enlarged."""
    from PIL import Image

    shown = picture.copy()
    shown.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    file = io.BytesIO()
    lossless = max(shown.size) <= _TINY
    shown.save(file, "WEBP", quality=_QUALITY, method=_EFFORT, lossless=lossless)
    return file.getvalue()


def _picture(most_pixels: int, content: bytes, name: str, enough: int | None) -> Image.Image:
    from cbir.model.picture import decode

    with bounded_memory(_MEMORY):
        _check(most_pixels, content, name)
        return decode(content, name, enough=enough)


def _size(most_pixels: int, content: bytes, name: str) -> tuple[int, int]:
    from cbir.model.picture import decoded

    with bounded_memory(_MEMORY):
        _check(most_pixels, content, name)
        details = decoded(content, name, enough=_TRIED).details
        return details.width, details.height


def _pixels(
    most_pixels: int, content: bytes, name: str, preprocessing: Preprocessing, box: Box | None, inverted: bool
) -> np.ndarray:
    from cbir.model.modes import invert
    from cbir.model.picture import decode

    with bounded_memory(_MEMORY):
        _check(most_pixels, content, name)
        picture = cropped(decode(content, name, enough=_enough(preprocessing, box)), box)
        return preprocessing.pixels(invert(picture) if inverted else picture)


def _enough(preprocessing: Preprocessing, box: Box | None) -> int:
    if box is None:
        return preprocessing.enough
    # The part has as many pixels as the whole would have had.
    return math.ceil(preprocessing.enough / min(box[2] - box[0], box[3] - box[1]))


def _explained(
    most_pixels: int, content: bytes, name: str, preprocessing: Preprocessing, box: Box | None
) -> tuple[np.ndarray, list[str]]:
    from cbir.model.picture import decoded
    from cbir.model.steps import explained, sized

    with bounded_memory(_MEMORY):
        _check(most_pixels, content, name)
        found = decoded(content, name, enough=_enough(preprocessing, box))
        whole = found.details.width, found.details.height
        steps = [f"It has {sized(whole)}, upright, in sRGB; what is transparent is white."]
        if found.picture.size != whole:
            steps.append(f"It is read at {sized(found.picture.size)}, which is enough.")
        part = cropped(found.picture, box)
        if box is not None:
            steps.append(f"Of it, the part that was chosen: {sized(part.size)}.")
        pixels, others = explained(part, preprocessing)
        return pixels, steps + others


def _seen(
    most_pixels: int, content: bytes, name: str, preprocessing: Preprocessing
) -> tuple[np.ndarray, dict[str, Any]]:
    from cbir.model.picture import decoded

    with bounded_memory(_MEMORY):
        _check(most_pixels, content, name)
        found = decoded(content, name, enough=preprocessing.enough)
        return preprocessing.pixels(found.picture), found.details.payload()


def _webp(most_pixels: int, content: bytes, name: str, side: int) -> bytes:
    from cbir.model.picture import decode

    with bounded_memory(_MEMORY):
        _check(most_pixels, content, name)
        return as_webp(decode(content, name, enough=side), side)


def _check(most_pixels: int, content: bytes, name: str) -> None:
    """Refuse what announces too many pixels, before any of them is decoded."""
    from cbir.model.picture import details_of

    details = details_of(content, name)
    if details.width * details.height > most_pixels:
        raise ImageError(
            f"{name} has {details.width * details.height / 1e6:,.0f} million pixels; "
            f"more than {most_pixels / 1e6:,.0f} million are not decoded"
        )
