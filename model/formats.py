"""The formats of picture files, one row each: which can be a query, and which a folder takes in.

Pillow has some fifty formats. Only those named here are ever tried: the others
are rare, and one of them (EPS) starts Ghostscript.
"""

from dataclasses import dataclass
from typing import IO

from PIL import Image, UnidentifiedImageError


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes
    ----------
    name : str
        Pillow's name.
    suffixes : tuple of str
        In lower case.
    ingested : bool
        Whether a folder's pictures of this format are stored.
    """

    name: str
    suffixes: tuple[str, ...]
    ingested: bool = False


FORMATS = (
    Format("JPEG", (".jpg", ".jpeg"), ingested=True),
    Format("PNG", (".png",), ingested=True),
    Format("WEBP", (".webp",)),
    Format("GIF", (".gif",)),
    Format("BMP", (".bmp",)),
    Format("TIFF", (".tif", ".tiff")),
    Format("AVIF", (".avif",)),
    Format("HEIF", (".heic", ".heif")),  # once pillow-heif has been registered
    Format("JPEG2000", (".jp2", ".j2k")),
    Format("PPM", (".pbm", ".pgm", ".ppm", ".pnm")),
    Format("ICO", (".ico",)),
    Format("TGA", (".tga",)),
)
#: Suffixes of the files that a folder takes in.
SUFFIXES = frozenset(suffix for known in FORMATS if known.ingested for suffix in known.suffixes)
#: Suffixes of pictures that a folder does not take in; they are counted, so that nobody misses them unawares.
OTHER_SUFFIXES = frozenset(suffix for known in FORMATS if not known.ingested for suffix in known.suffixes)


def open_format(file: IO[bytes]) -> Image.Image:
    """Open a picture in one of the `FORMATS`; Pillow decodes it when its pixels are asked for.

    Raises
    ------
    PIL.UnidentifiedImageError
        In none of them, or in one that this installation of Pillow cannot read.
    """
    names = [known.name for known in FORMATS]
    Image.preinit()  # the most common formats; all take 30 ms to import
    common = [name for name in names if name in Image.OPEN]
    try:
        return Image.open(file, formats=common)
    except UnidentifiedImageError:
        Image.init()
        return Image.open(file, formats=[name for name in names if name in Image.OPEN and name not in common])
