"""The formats of picture files, one row each: their names, endings and first bytes.

What a file is, its first bytes say, whatever it is called. Pillow has some fifty
formats; only those named here are ever tried: the others are rare, and one of
them (EPS) starts Ghostscript.
"""

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath

#: First bytes of a file that `sniff` wants to see; fewer are enough for most formats.
SNIFFED_BYTES = 4096


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes
    ----------
    name : str
        Pillow's name, or `RAW`.
    suffixes : tuple of str
        In lower case.
    signature : bytes
        A regular expression that the first bytes match.
    ending_counts : bool
        Whether the first bytes say too little, so that only a file with one of the suffixes is of this format.
    extra : str
        What is installed with it, as in `pip install '.[heic]'`; empty if nothing is.
    library : str
        The module that reads it, if it is not Pillow's own.
    """

    name: str
    suffixes: tuple[str, ...]
    signature: bytes
    ending_counts: bool = False
    extra: str = ""
    library: str = ""


#: A box `ftyp` with one of these brands first; `mif1` and `msf1` say "some picture", so the others are looked at.
_AVIF = rb"....ftyp(?:avif|avis|(?:mif1|msf1|miaf)....(?:....){0,16}?(?:avif|avis))"
_HEIF = rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)"
_TIFF = rb"II\*\0|MM\0\*|II\+\0|MM\0\+"
#: Camera raw that its first bytes tell: CR2, CR3, CRW, RAF, ORF, RW2, X3F, MRW.
_RAW = (
    rb"(?:II\*\0|MM\0\*)....CR\x02\0|....ftypcrx |II\x1a\0\0\0HEAPCCDR|FUJIFILMCCD-RAW |IIR[OS]|MMOR|IIU\0|FOVb|\0MRM"
)
#: Camera raw that begins like any TIFF: the ending tells.
_RAW_TIFF = (".dng", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".pef", ".srw", ".3fr", ".fff", ".erf", ".kdc", ".dcr")
#: Ids of at most 255 bytes, with or without a colour map, of a known kind, 8 to 32 bits a pixel, not of size 0.
_TGA = (
    rb".(?:\0[\x02\x03\x0a\x0b]\0{5}|\x01[\x01\x09]....[\x0f\x10\x18\x20])"
    rb"....(?!\0\0)..(?!\0\0)..[\x01\x08\x0f\x10\x18\x20]"
)

#: In the order in which they are looked for.
FORMATS = (
    Format("JPEG", (".jpg", ".jpeg", ".jfif", ".jpe", ".jif", ".mpo"), rb"\xff\xd8\xff"),
    Format("PNG", (".png", ".apng"), rb"\x89PNG\r\n\x1a\n"),
    Format("WEBP", (".webp",), rb"RIFF....WEBP"),
    Format("GIF", (".gif",), rb"GIF8[79]a"),
    Format("BMP", (".bmp", ".dib"), rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
    Format("RAW", (".cr2", ".cr3", ".crw", ".raf", ".orf", ".rw2", ".x3f", ".mrw"), _RAW, extra="raw", library="rawpy"),
    Format("RAW", _RAW_TIFF, _TIFF, ending_counts=True, extra="raw", library="rawpy"),
    Format("TIFF", (".tif", ".tiff"), _TIFF),
    Format("AVIF", (".avif", ".avifs"), _AVIF),
    Format("HEIF", (".heic", ".heif", ".hif", ".heics", ".heifs"), _HEIF, extra="heic", library="pillow_heif"),
    Format(
        "JPEG2000",
        (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
        rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    ),
    Format("PPM", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), rb"P[1-6](?:\s+(?:#[^\n]*\n\s*)*)\d|Pf\s+\d"),
    Format("ICO", (".ico",), rb"\0\0\x01\0[^\0]\0.{3}[\0\x01]"),
    Format("TGA", (".tga", ".icb", ".vda", ".vst"), _TGA, ending_counts=True),
)
#: Suffixes of pictures.
SUFFIXES = frozenset(suffix for known in FORMATS for suffix in known.suffixes)

_SIGNATURES = tuple((re.compile(known.signature, re.DOTALL), known) for known in FORMATS)


def sniff(head: bytes, name: str = "") -> str | None:
    """Tell a file's format by its first bytes.

    Parameters
    ----------
    head : bytes
        The first `SNIFFED_BYTES` of the file, or all of a shorter one; 32 suffice for most formats.
    name : str
        The file's name or path: camera raw often begins like any TIFF, and TGA like nothing in particular.

    Returns
    -------
    str or None
        A name of `FORMATS`; None for what is no picture.
    """
    for signature, known in _SIGNATURES:
        if signature.match(head) and (not known.ending_counts or suffix_of(name) in known.suffixes):
            return known.name
    return None


def suffix_of(name: str) -> str:
    """Return a file's suffix in lower case, without white space around the name; empty if there is none."""
    return PurePath(name.strip()).suffix.lower()


def missing_extra(name: str) -> str:
    """Return the extra to install before a format can be read; empty if it can be.

    Parameters
    ----------
    name : str
        Of the format.
    """
    known = next(known for known in FORMATS if known.name == name)
    return known.extra if known.library and not _installed(known.library) else ""


def unreadable_suffixes() -> frozenset[str]:
    """Return the suffixes of formats that cannot be read before an extra is installed."""
    return frozenset(suffix for known in FORMATS if missing_extra(known.name) for suffix in known.suffixes)


@cache
def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
