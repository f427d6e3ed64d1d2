"""Pictures that come through a pipe: standard input (`-`), `/dev/stdin`, `<(...)`. They can be read only once.

In: the path of what is no ordinary file, or `-`. Out: its content, which stands
in for the file from then on.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import Image

from cbir.model.errors import ImageError

#: The name of standard input.
STDIN = "-"

_HEAD = 64 * 1024


@dataclass(frozen=True)
class Piped:
    """The content of a picture file, and the name that it was asked for by."""

    name: str
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


def is_pipe(path: str) -> bool:
    """Tell whether a path is a pipe or a device: what can be read, but not twice."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - as the path was typed
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def read_piped(path: str) -> Piped:
    """Read a picture from a pipe, or from standard input if the path is `-`.

    Raises
    ------
    ImageError
        Nothing comes, it is no picture, or more than a picture's file can be; a terminal is not waited for.
    """
    name = "standard input" if path == STDIN else path
    try:
        # A text stream, as `sys.stdin` is, has the bytes beneath it.
        with nullcontext(_stdin()) if path == STDIN else open(path, "rb") as file:  # noqa: PTH123 - as it was typed
            if file.isatty():
                raise ImageError(f"{name} is a terminal; pipe a picture into it: cat picture.jpg | cbir search -")
            return Piped(path, _read(file, name))
    except OSError as error:
        raise ImageError(f"{name} cannot be read: {error.strerror or error}") from None


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise ImageError("standard input is closed; pipe a picture into it: cat picture.jpg | cbir search -")
    return sys.stdin.buffer


def open_query(
    picture: "str | os.PathLike[str] | Piped", open_picture: Callable[..., Image.Image], *, enough: int | None = None
) -> Image.Image:
    """Open the picture of a query: `open_picture` opens a path or uri; of a pipe, the content is decoded.

    `enough` is that of `cbir.model.picture.open_image`.

    Raises
    ------
    ImageError, CbirError
        It cannot be read.
    """
    if isinstance(picture, Piped):
        from cbir.model.picture import decode

        return decode(picture.content, picture.name, enough=enough)
    return open_picture(str(picture)) if enough is None else open_picture(str(picture), enough=enough)


def _read(file: BinaryIO, name: str) -> bytes:
    """Read a picture's file; what is none is not read to its end, which it may not have."""
    from cbir.model.formats import sniff
    from cbir.model.picture import MAX_BYTES

    head = file.read(_HEAD)
    if not head:
        raise ImageError(f"{name} is empty (0 bytes)")
    if sniff(head, name) is None:
        raise ImageError(f"{name} is not a picture")
    content = head + file.read(MAX_BYTES - len(head) + 1)
    if len(content) > MAX_BYTES:
        raise ImageError(f"{name} has more than {MAX_BYTES / 1e9:.1f} GB, which are not read")
    return content
