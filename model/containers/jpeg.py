"""JPEG: segments, and then entropy-coded data up to the end marker.

Kept for the decoder is what decides over pixels: tables, frames, scans, and the
markers JFIF and Adobe, which say how colour is stored. The search for the next
segment is bounded, as is the number of scans: each is a pass over the picture.
"""

from cbir.model.containers.parts import ContainerError, Parts, joined

START, END = b"\xff\xd8", b"\xff\xd9"
_SCAN = 0xDA
#: Markers without a length: stray ones are skipped, as decoders do.
_BARE = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APPLICATIONS, _COMMENT = range(0xE0, 0xF0), 0xFE
_EXIF, _PROFILE = b"Exif\0\0", b"ICC_PROFILE\0"
#: What decides over pixels among the application's segments.
_COLOUR = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}

#: Bytes between segments that belong to none of them, segments, and scans: more are no picture's.
MOST_JUNK, MOST_SEGMENTS, MOST_SCANS = 1 << 16, 20_000, 100


def parts(content: bytes) -> Parts:
    """Take a JPEG file apart.

    Raises
    ------
    ContainerError
        It ends, or holds nothing but junk, before the first scan.
    """
    kept: list[bytes | memoryview] = [START]
    exif = b""
    profile: dict[bytes, bytes] = {}  # by the numbers of its parts
    position, junk = len(START), 0
    for _ in range(MOST_SEGMENTS):
        marker, begin, body, junk = _next_segment(content, position, junk)
        length = int.from_bytes(content[body : body + 2], "big")
        position = body + length
        if length < 2 or position > len(content):
            raise ContainerError("it is truncated in its header")
        if marker == _SCAN:
            data, problem = _scans(content, begin)
            return Parts(
                joined([*kept, *data], content), exif, b"".join(profile[key] for key in sorted(profile)), problem
            )
        segment = content[body + 2 : position]
        if marker in _APPLICATIONS or marker == _COMMENT:
            if marker == 0xE1 and segment.startswith(_EXIF) and not exif:
                exif = segment[len(_EXIF) :]
            elif marker == 0xE2 and segment.startswith(_PROFILE):
                profile.setdefault(segment[12:13], segment[14:])
            elif marker not in _COLOUR or not segment.startswith(_COLOUR[marker]):
                continue
            else:
                kept.append(content[begin:position])
        else:
            kept.append(content[begin:position])
    raise ContainerError(f"there is no picture in its first {MOST_SEGMENTS:,} segments")


def _next_segment(content: bytes, position: int, junk: int) -> tuple[int, int, int, int]:
    """Return the next marker, where it begins, where its length stands, and the junk met so far."""
    start = position
    while True:
        begin = content.find(b"\xff", position, start + MOST_JUNK)
        body = begin + 1
        while begin >= 0 and content[body : body + 1] == b"\xff" and body - start < MOST_JUNK:
            body += 1
        marker = content[body] if begin >= 0 and body < len(content) else None
        junk += body - 1 - position
        if marker is None or marker == END[1] or junk > MOST_JUNK or body - start >= MOST_JUNK:
            truncated = begin < 0 or marker is None
            raise ContainerError("it is truncated in its header" if truncated else "no picture follows its header")
        position = body + 1
        if marker not in _BARE:
            return marker, body - 1, position, junk


def _scans(content: bytes, begin: int) -> tuple[list[bytes | memoryview], str]:
    """Return the scans of a picture, from the first one on, and what is odd about them."""
    view = memoryview(content)
    position = begin
    for _ in range(MOST_SCANS):
        position = content.find(bytes((0xFF, _SCAN)), position + 2)
        if position < 0:
            break
    else:
        return [view[begin:position], END], f"only its first {MOST_SCANS} scans are read"
    if content.find(END, begin) < 0:
        return [view[begin:], END], "the end is missing"
    return [view[begin:]], ""


def size(stream: bytes) -> tuple[int, int] | None:
    """Return the width and height that a JPEG file announces; None if it does not."""
    position = len(START)
    try:
        for _ in range(MOST_SEGMENTS):
            marker, _, body, _ = _next_segment(stream, position, 0)
            if marker in _FRAMES and body + 7 <= len(stream):
                return int.from_bytes(stream[body + 5 : body + 7], "big"), int.from_bytes(
                    stream[body + 3 : body + 5], "big"
                )
            position = body + max(2, int.from_bytes(stream[body : body + 2], "big"))
    except ContainerError:
        pass
    return None
