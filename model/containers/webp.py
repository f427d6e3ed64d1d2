"""WebP: chunks in a RIFF file.

Kept for the decoder are the pixels, with their transparency; of an animation, the first frame.
"""

import struct
from collections.abc import Iterator

from cbir.model.containers.parts import ContainerError, Parts, joined

_HEADER = 12
#: What says something about pixels: lossy, lossless, transparency, an animation's colours, one frame.
_PIXELS = frozenset((b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"))
#: Bits that announce a profile, EXIF and XMP.
_ANNOUNCED = 0x20 | 0x08 | 0x04
_MOST_CHUNKS = 100_000


def parts(content: bytes) -> Parts:
    """Take a WebP file apart.

    Raises
    ------
    ContainerError
        It holds no picture.
    """
    view = memoryview(content)
    kept: list[bytes | memoryview] = []
    metadata = {b"EXIF": b"", b"ICCP": b""}
    found: set[bytes] = set()
    problem = ""
    for kind, begin, end in _chunks(content):
        if kind == b"VP8X" and not found:
            header = bytearray(content[begin:end])
            header[8:9] = bytes((header[8] & ~_ANNOUNCED,)) if len(header) > 8 else b""
            kept.append(bytes(header))
        elif kind in _PIXELS and kind not in found:
            kept.append(view[begin:end])
            length = int.from_bytes(view[begin + 4 : begin + 8], "little")
            missing = begin + 8 + length - end
            if 0 < missing <= end - begin:  # decoders make something of zeros
                kept.append(bytes(missing + length % 2))
                problem = f"the end is missing, {missing / (8 + length):.0%} of the data"
        elif kind in metadata:
            metadata[kind] = metadata[kind] or content[begin + 8 : end]
        found.add(kind)
    if not found & {b"VP8 ", b"VP8L", b"ANMF"}:
        raise ContainerError("there is no picture in it")
    size = struct.pack("<4sI4s", b"RIFF", 4 + sum(map(len, kept)), b"WEBP")
    exif = metadata[b"EXIF"].removeprefix(b"Exif\0\0")
    return Parts(joined([size, *kept], b""), exif, metadata[b"ICCP"], problem)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, the begin and the end of each chunk, padding included; the last may be cut."""
    position = _HEADER
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(content):
            return
        kind, length = struct.unpack_from("<4sI", content, position)
        end = position + 8 + length + length % 2
        yield kind, position, min(end, len(content))
        position = end


def canvas(content: bytes) -> tuple[int, int] | None:
    """Return the width and height that the file announces; None if it does not say."""
    for kind, begin, end in _chunks(content):
        data = content[begin + 8 : min(end, begin + 18)]
        if kind == b"VP8X" and len(data) >= 10:
            return int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
        if kind == b"VP8 " and len(data) >= 10:
            width, height = struct.unpack_from("<HH", data, 6)
            return width & 0x3FFF, height & 0x3FFF
        if kind == b"VP8L" and len(data) >= 5:
            bits = int.from_bytes(data[1:5], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None
