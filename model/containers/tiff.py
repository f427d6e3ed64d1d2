"""TIFF: directories of tags; also the form of EXIF, and of most camera raw.

`Tiff` reads tags without ever failing: what is not there, of another type, or
beyond the end of the file, is not there. `parts` keeps, for the decoder, the
first picture's tags that decide over pixels.
"""

import struct
from dataclasses import dataclass
from typing import Self

from cbir.model.containers.parts import ContainerError, Parts

#: Tags that say where the pixels are, how they are packed and what they mean.
_PIXELS = frozenset(
    (254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 301, 317, 320, 322, 323, 324, 325, 330)
).union((332, 333, 338, 339, 340, 341, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532))
_PROFILE = 34675
#: Types of values, to their size in bytes and their letter for `struct`; rationals are two of a kind.
_TYPES = {1: (1, "B"), 2: (1, "s"), 3: (2, "H"), 4: (4, "I"), 5: (8, "II"), 6: (1, "b"), 7: (1, "s"), 8: (2, "h")}
_TYPES |= {
    9: (4, "i"),
    10: (8, "ii"),
    11: (4, "f"),
    12: (8, "d"),
    13: (4, "I"),
    16: (8, "Q"),
    17: (8, "q"),
    18: (8, "Q"),
}
#: Tags in a directory that are looked at, and values of one of them.
_MOST_TAGS, _MOST_VALUES = 4096, 64


@dataclass(frozen=True)
class Tiff:
    """A file or block of TIFF's form.

    Attributes
    ----------
    content : bytes
    order : str
        `<` or `>`: which byte of a number comes first.
    big : bool
        BigTIFF, whose positions have 8 bytes.
    first : int
        Where the first directory is.
    """

    content: bytes
    order: str
    big: bool
    first: int

    @classmethod
    def read(cls, content: bytes) -> Self | None:
        """Read the header; None if it is not one. The number in it is not looked at: camera raw has its own."""
        order = {b"II": "<", b"MM": ">"}.get(content[:2])
        if order is None or len(content) < 8:
            return None
        if content[2:4] in (b"+\0", b"\0+"):
            return (
                cls(content, order, True, struct.unpack_from(order + "Q", content, 8)[0]) if len(content) > 16 else None
            )
        return cls(content, order, False, struct.unpack_from(order + "I", content, 4)[0])

    def directory(self, position: int) -> dict[int, tuple[int, int, int]]:
        """Return each tag's type, number of values, and where these are; of two alike, the first."""
        tags: dict[int, tuple[int, int, int]] = {}
        for entry in self.entries(position):
            if self.big:
                tag, kind, count = struct.unpack_from(self.order + "HHQ", self.content, entry)
            else:
                tag, kind, count = struct.unpack_from(self.order + "HHI", self.content, entry)
            inline, field = (8, entry + 12) if self.big else (4, entry + 8)
            size = _TYPES.get(kind, (0, ""))[0] * count
            place = field if size <= inline else struct.unpack_from(self.order + "IQ"[self.big], self.content, field)[0]
            if size and place + size <= len(self.content):
                tags.setdefault(tag, (kind, count, place))
        return tags

    def entries(self, position: int) -> range:
        """Return where the entries of a directory are."""
        head, size = (8, 20) if self.big else (2, 12)
        if position < 8 or position + head > len(self.content):
            return range(0)
        count = struct.unpack_from(self.order + "HQ"[self.big], self.content, position)[0]
        fitting = (len(self.content) - position - head) // size
        return range(position + head, position + head + size * min(count, fitting, _MOST_TAGS), size)

    def numbers(self, tag: tuple[int, int, int] | None) -> list[float]:
        """Return the values of a tag; of rationals, the quotients; NaN for what is divided by 0."""
        if tag is None or _TYPES[tag[0]][1] == "s":
            return []
        kind, count, place = tag
        size, letters = _TYPES[kind]
        values: list[float] = []
        for number in range(min(count, _MOST_VALUES)):
            value, *divisor = struct.unpack_from(self.order + letters, self.content, place + size * number)
            if divisor:
                value = value / divisor[0] if divisor[0] else float("nan")
            values.append(float(value))
        return values

    def text(self, tag: tuple[int, int, int] | None) -> str:
        """Return a tag's text, up to 200 printable characters of it."""
        if tag is None or _TYPES[tag[0]][1] != "s":
            return ""
        _, count, place = tag
        text = self.content[place : place + min(count, 1000)].split(b"\0")[0].decode("utf-8", "replace")
        return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:200]

    def bytes_of(self, tag: tuple[int, int, int] | None) -> bytes:
        """Return a tag's bytes."""
        if tag is None:
            return b""
        kind, count, place = tag
        return self.content[place : place + _TYPES[kind][0] * count]


def parts(content: bytes) -> Parts:
    """Take a TIFF file apart; its own tags are its EXIF.

    Raises
    ------
    ContainerError
        It has no directory of tags.
    """
    tiff = Tiff.read(content)
    entries = range(0) if tiff is None else tiff.entries(tiff.first)
    if tiff is None or not entries:
        raise ContainerError("it is truncated: its tags are missing")
    size = entries.step
    kept = [
        content[entry : entry + size]
        for entry in entries
        if struct.unpack_from(tiff.order + "H", content, entry)[0] in _PIXELS
    ]
    count = struct.pack(tiff.order + "HQ"[tiff.big], len(kept))
    directory = count + b"".join(kept) + bytes(8 if tiff.big else 4)
    place = len(content) + len(content) % 2
    header = (
        content[:8] + struct.pack(tiff.order + "Q", place)
        if tiff.big
        else content[:4] + struct.pack(tiff.order + "I", place)
    )
    stream = b"".join([header, memoryview(content)[len(header) :], bytes(len(content) % 2), directory])
    return Parts(stream, content, tiff.bytes_of(tiff.directory(tiff.first).get(_PROFILE)))
