"""Camera raw, read by rawpy: the preview that the camera made, or else the raw pixels at half size.

In: the bytes of a file. Out: a JPEG file or pixels, and what is needed to turn them upright.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from cbir.model.containers.jpeg import size as jpeg_size
from cbir.model.exif import Exif, read
from cbir.model.quiet import without_lines

#: Pixels of the longer side of a preview, at least: the smallest ones are for a camera's own display.
LEAST_PREVIEW = 500
#: What LibRaw prints about damaged files.
_PRINTED = rb": (?:Unexpected end of file|data corrupted at )"
#: How LibRaw says that a picture is turned, as an EXIF orientation.
_TURNED = {0: 1, 3: 3, 5: 8, 6: 6}
#: Where the name of a block of EXIF may stand in a CR3 file.
_CR3_HEAD = 1 << 20


@dataclass(frozen=True)
class RawPicture:
    """What a file of camera raw holds.

    Attributes
    ----------
    jpeg : bytes
        The camera's preview; empty if there is none that is large enough.
    pixels : ndarray of uint8, shape (h, w, 3), or None
        If there is no preview: developed at half size.
    orientation : int
        As in EXIF, of `jpeg`, whatever that says itself; `pixels` are upright.
    width, height : int
        Of the whole picture, as it is to be seen.
    """

    jpeg: bytes
    pixels: np.ndarray | None
    orientation: int
    width: int
    height: int


def raw_picture(content: bytes, *, developed: bool = True) -> RawPicture:
    """Read camera raw; where pixels would have to be developed, only if that is asked for.

    Raises
    ------
    rawpy.LibRawError
        Damaged, or of a camera that LibRaw does not know.
    """
    import rawpy

    with without_lines(_PRINTED), rawpy.imread(io.BytesIO(content)) as raw:
        sizes = raw.sizes
        orientation = _TURNED.get(sizes.flip, 1)
        size = (sizes.width, sizes.height) if orientation < 5 else (sizes.height, sizes.width)
        jpeg, shape = _preview(raw)
        if jpeg and (shape[0] > shape[1]) != (sizes.width > sizes.height):
            orientation = 1  # some cameras turn their preview themselves
        pixels = None
        if developed and not jpeg:
            pixels = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
        return RawPicture(jpeg, pixels, orientation, *size)


def raw_exif(content: bytes) -> Exif:
    """Return what a file of camera raw says: as a file of TIFF's form, or, CR3, in blocks of its own."""
    if content[4:8] != b"ftyp":
        return read(content)
    blocks = []
    for name in (b"CMT1", b"CMT2", b"CMT4"):
        found = content.find(name, 0, _CR3_HEAD)
        blocks.append(content[found + 4 : found + 4 + (1 << 16)] if found >= 0 else b"")
    return read(blocks[0], also=blocks[1:])


def _preview(raw: Any) -> tuple[bytes, tuple[int, int]]:
    """Return the camera's preview, a JPEG file, and its size; nothing if there is none that is large enough."""
    import rawpy

    try:
        thumbnail = raw.extract_thumb()
    except rawpy.LibRawError:
        return b"", (0, 0)
    found = jpeg_size(thumbnail.data) if thumbnail.format == rawpy.ThumbFormat.JPEG else None
    return (bytes(thumbnail.data), found) if found and max(found) >= LEAST_PREVIEW else (b"", (0, 0))
