"""EXIF: which way up a picture is, and when, where and with what it was taken.

In: a block of TIFF's form, out of any file. Out: `Exif`. Nothing in here fails:
what makes no sense is left out, tag by tag.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cbir.model.containers.tiff import Tiff

_MAKE, _MODEL, _ORIENTATION, _EXIF, _GPS = 271, 272, 274, 34665, 34853
_LENS = 42036
#: When the shutter opened, or a film was scanned. Tags of their time zones are not read: what is kept is what the
#: camera's clock showed, so that the pictures of a day are those of that day wherever it was spent.
_TAKEN = (36867, 36868)
_NORTH, _LATITUDE, _EAST, _LONGITUDE = 1, 2, 3, 4

_TIME = re.compile(r"(\d{4})\D(\d\d?)\D(\d\d?)\D+(\d\d?)\D(\d\d?)(?:\D(\d\d?))?")


@dataclass(frozen=True)
class Exif:
    """What EXIF says.

    Attributes
    ----------
    orientation : int
        1 to 8, as in the standard; 1 is upright.
    taken_at, camera, lens, gps
        As in `cbir.model.details.Details`.
    """

    orientation: int = 1
    taken_at: str | None = None
    camera: str | None = None
    lens: str | None = None
    gps: dict[str, float] | None = field(default=None)


def read(block: bytes, *, also: Sequence[bytes] = ()) -> Exif:
    """Read EXIF.

    Parameters
    ----------
    block : bytes
        A file of TIFF's form, or a block of it; anything else says nothing.
    also : sequence of bytes
        Further blocks, whose first directories are what `block` would point to: EXIF's own, and that of GPS.
    """
    tiff = Tiff.read(block)
    if tiff is None:
        return Exif()
    main = tiff.directory(tiff.first)
    orientation = tiff.numbers(main.get(_ORIENTATION))[:1]
    own, place = (_pointed(tiff, main, tag) for tag in (_EXIF, _GPS))
    own, place = (_first(block) or found for block, found in zip((*also, b"", b""), (own, place), strict=False))
    return Exif(
        orientation=int(orientation[0]) if orientation and orientation[0] in range(1, 9) else 1,
        taken_at=_taken_at(*own),
        camera=tiff.text(main.get(_MODEL)) or tiff.text(main.get(_MAKE)) or None,
        lens=own[0].text(own[1].get(_LENS)) or None,
        gps=_gps(*place),
    )


_Directory = tuple[Tiff, dict[int, tuple[int, int, int]]]


def _pointed(tiff: Tiff, main: dict[int, tuple[int, int, int]], tag: int) -> _Directory:
    """Return the directory that a tag points to; an empty one if it points to none."""
    pointed = [value for value in tiff.numbers(main.get(tag))[:1] if math.isfinite(value)]
    return tiff, tiff.directory(int(pointed[0])) if pointed else {}


def _first(block: bytes) -> _Directory | None:
    tiff = Tiff.read(block)
    return None if tiff is None else (tiff, tiff.directory(tiff.first))


def _taken_at(tiff: Tiff, tags: dict[int, tuple[int, int, int]]) -> str | None:
    for when in _TAKEN:
        found = _TIME.match(tiff.text(tags.get(when)))
        if found is None:
            continue
        try:
            moment = datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]
        except ValueError:
            continue
        return f"{moment.isoformat()}Z"
    return None


def _gps(tiff: Tiff, tags: dict[int, tuple[int, int, int]]) -> dict[str, float] | None:
    lat = _degrees(tiff, tags, _LATITUDE, _NORTH, {"N": 1, "S": -1})
    lon = _degrees(tiff, tags, _LONGITUDE, _EAST, {"E": 1, "W": -1})
    # Both exactly 0 is what cameras write that have not found their place yet.
    if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180 or lat == lon == 0:
        return None
    return {"lon": lon, "lat": lat}


def _degrees(
    tiff: Tiff, tags: dict[int, tuple[int, int, int]], tag: int, side: int, signs: dict[str, int]
) -> float | None:
    values = tiff.numbers(tags.get(tag))[:3]
    sign = signs.get(tiff.text(tags.get(side))[:1].upper())
    if not values or sign is None or not all(math.isfinite(value) and value >= 0 for value in values):
        return None
    return round(sign * sum(value / 60**power for power, value in enumerate(values)), 7)
