"""What every container holds: pixels for a decoder, and what is said about them."""

from collections.abc import Sequence
from dataclasses import dataclass


class ContainerError(ValueError):
    """A file whose pixels cannot be found; says what is wrong, without the file's name."""


@dataclass(frozen=True)
class Parts:
    """A picture's file, taken apart.

    Attributes
    ----------
    stream : bytes
        What a decoder is given: the same picture without metadata, the first one if there are several.
    exif : bytes
        A block in the form of a TIFF file; empty if there is none.
    profile : bytes
        An ICC profile; empty if there is none.
    problem : str
        What is odd although the pixels can be decoded; empty if nothing is.
    """

    stream: bytes
    exif: bytes = b""
    profile: bytes = b""
    problem: str = ""


def joined(pieces: Sequence[bytes | memoryview], content: bytes) -> bytes:
    """Join pieces of a file; the file itself if they are all of it."""
    same = sum(map(len, pieces)) == len(content)
    return content if same else b"".join(pieces)
