"""PNG: chunks, each with a length, a kind, data and a checksum.

Kept for the decoder are the header, the palette, transparency and the pixels; of
an animation, the picture that stands for it.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from cbir.model.containers.parts import ContainerError, Parts, joined

START = b"\x89PNG\r\n\x1a\n"
_KEPT = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
#: Chunks that are looked at: of the usual 8 kB of pixels each, those of 8 GB.
_MOST_CHUNKS = 1_000_000
#: Bytes that metadata may unpack to, and that pixels may unpack to where they are to be mended.
_MOST_METADATA, _MOST_MENDED = 1 << 22, 1 << 28
#: Share of the pixels that must be there.
_LEAST_LEFT = 0.5
#: What a chunk of text is called that holds EXIF in hexadecimal digits.
_RAW_EXIF = b"Raw profile type exif\0"
#: Kinds of pixels, to the number of their channels.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Passes of interlaced pictures: first column and row, steps between columns and between rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def parts(content: bytes) -> Parts:
    """Take a PNG file apart.

    Raises
    ------
    ContainerError
        It has no header.
    """
    view = memoryview(content)
    kept: list[bytes | memoryview] = [START]
    exif = profile = b""
    kind, ended = b"", False
    for kind, begin, end in _chunks(content):
        data = view[begin + 8 : end - 4]
        if kind in _KEPT:
            ended = kind == b"IEND"
            whole = end - begin == 12 + int.from_bytes(view[begin : begin + 4], "big")
            kept.append(view[begin:end] if whole else chunk(kind, bytes(view[begin + 8 : end])))
        elif kind == b"eXIf":
            exif = exif or bytes(data).removeprefix(b"Exif\0\0")
        elif kind == b"iCCP":
            profile = profile or _unpacked(bytes(data).partition(b"\0")[2][1:])
        elif kind == b"zTXt" and data[: len(_RAW_EXIF)] == _RAW_EXIF:
            exif = exif or _raw_profile(_unpacked(data[len(_RAW_EXIF) + 1 :]))
        elif kind == b"tEXt" and data[: len(_RAW_EXIF)] == _RAW_EXIF:
            exif = exif or _raw_profile(bytes(data[len(_RAW_EXIF) :]))
    if len(kept) < 2 or bytes(kept[1][4:8]) != b"IHDR":
        raise ContainerError("it is truncated in its header")
    if ended:
        return Parts(joined(kept, content), exif, profile)
    return Parts(b"".join([*kept, chunk(b"IEND", b"")]), exif, profile, "the end is missing")


def mended(stream: bytes) -> tuple[bytes, str]:
    """Return the stream of a picture whose pixels end too early, the rest of them zero, and what is missing.

    Raises
    ------
    ContainerError
        More is missing than is there, or the picture is too large to be mended.
    """
    chunks = {kind: stream[begin + 8 : end - 4] for kind, begin, end in _chunks(stream) if kind != b"IDAT"}
    expected = _unpacked_size(chunks[b"IHDR"])
    if expected > _MOST_MENDED:
        raise ContainerError("it is truncated or damaged")
    packed = (stream[begin + 8 : end - 4] for kind, begin, end in _chunks(stream) if kind == b"IDAT")
    pixels = _readable(packed, expected)
    missing = 1 - len(pixels) / expected
    if missing > 1 - _LEAST_LEFT:
        raise ContainerError(f"it is truncated or damaged: {missing:.0%} of its pixels are missing")
    pixels += bytes(expected - len(pixels))
    kept = [chunk(kind, data) for kind, data in chunks.items() if kind in _KEPT and kind != b"IEND"]
    pieces = [START, *kept, chunk(b"IDAT", zlib.compress(pixels, 1)), chunk(b"IEND", b"")]
    return b"".join(pieces), f"the end is missing, {max(missing, 0.01):.0%} of the pixels" if missing else ""


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, the begin and the end of each chunk up to the one that ends the file; the last may be cut."""
    position = len(START)
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(content):
            return
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        yield kind, position, min(end, len(content))
        if kind == b"IEND":
            return
        position = end


def _unpacked_size(header: bytes) -> int:
    """Return how many bytes of pixels a picture has, before they are packed: rows, each with its filter's byte."""
    width, height, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", header)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-max(0, width - left) // across), -(-max(0, height - top) // down)
        if columns:
            total += rows * (1 + (columns * depth * _CHANNELS.get(kind, 1) + 7) // 8)
    return total


def _readable(packed: Iterator[bytes], expected: int) -> bytearray:
    """Unpack until that is no longer possible."""
    unpacker, pixels = zlib.decompressobj(), bytearray()
    try:
        for data in packed:
            for start in range(0, len(data), 1024):  # little of what comes before damage is lost
                pixels += unpacker.decompress(data[start : start + 1024])
                if len(pixels) >= expected:
                    return pixels[:expected]
    except zlib.error:
        pass
    return pixels


def _unpacked(packed: bytes | memoryview) -> bytes:
    """Unpack metadata; nothing if it is damaged or immense."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(packed, _MOST_METADATA)
    except zlib.error:
        return b""
    return unpacked if unpacker.eof else b""


def _raw_profile(text: bytes) -> bytes:
    """Read what ImageMagick writes: a name, a length, and hexadecimal digits, in lines."""
    found = re.match(rb"\s*\w+\s+\d+\s+([0-9a-fA-F\s]+)", text)
    if found is None:
        return b""
    digits = b"".join(found[1].split())
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode()).removeprefix(b"Exif\0\0")
