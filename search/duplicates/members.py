"""The files behind points: each place of a content, if it is still there as it was stored.

In: payloads and where roots are. Out: `Member`s, the one to keep first. Somebody may
delete what is listed here, so a file that is gone or has changed since it was
ingested is left out, and one file that is reached by two ways is one: by links, hard
ones too, by a folder that is mounted twice, by upper and lower case.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from cbir.collection.filter import Filter
from cbir.collection.metadata import Metadata
from cbir.collection.place import Place, places_of, with_places
from cbir.collection.point import Payload
from cbir.core.uris import is_absolute
from cbir.search.duplicates.result import EXACT, Member
from cbir.search.places import passes


class Members:
    """Makes members of a collection's points.

    Parameters
    ----------
    metadata : Metadata
    payloads : Mapping
        By id.
    sizes : Mapping
        Width and height by id, of pictures that were opened.
    where : Filter, optional
        Of the places of a point, only those that pass.
    """

    def __init__(
        self,
        metadata: Metadata,
        payloads: Mapping[str, Payload],
        sizes: Mapping[str, tuple[int, int]],
        where: Filter | None = None,
    ) -> None:
        self._where = where
        self._metadata = metadata
        self._payloads = payloads
        self._sizes = sizes

    def of(self, point: str, how: str = "", keypoints: int = 0) -> list[Member]:
        """Return a point's files, the oldest first; the others are exact copies of it.

        Those in archives are last: whether they are still there was not looked at.

        Parameters
        ----------
        point : str
        how, keypoints
            Of the first; of all, if the point is not the one to keep.
        """
        found = sorted(self._there(point), key=lambda each: (each[1].path is None, each[0], each[1].uri))
        members = [replace(member, how=how, keypoints=keypoints) for _, member in found]
        return members if how else [*members[:1], *(replace(member, how=EXACT) for member in members[1:])]

    def size(self, point: str) -> tuple[int, int] | None:
        """Return a picture's width and height, if they are known."""
        stored = tuple(self._payloads[point].get(side) for side in ("width", "height"))
        known = all(isinstance(side, int) and side > 0 for side in stored)
        return stored if known else self._sizes.get(point)  # type: ignore[return-value]

    def _there(self, point: str) -> Iterator[tuple[int, Member]]:
        """Yield the files that are there, with the time that each was changed."""
        met: set[tuple[int, int] | str] = set()
        payload = self._payloads[point]
        for place in places_of(payload):
            own = with_places(payload, [place])
            if self._where is not None and passes(self._where, own) is False:
                continue
            located = self._metadata.locate(own)
            path = None
            if is_absolute(located):
                path, in_file = _file(located, place)
                itself = _identity(located)
                if itself in met or (path is None and not in_file):
                    continue
                met.add(itself)
            member = Member(
                id=point,
                source=place.source,
                uri=place.uri,
                path=path,
                size=self.size(point),
                bytes=place.stamp[0],
                how="",
                keypoints=0,
                payload=own,
            )
            yield place.stamp[1] or 0, member


def _file(located: str, place: Place) -> tuple[str | None, bool]:
    """Return the path of a file that is as it was stored, else None; and whether it, or its archive, is there."""
    try:
        found = os.stat(located)  # noqa: PTH116
    except OSError:
        return None, _is_in_archive(located)
    size, modified = place.stamp[:2]
    same = size in (None, found.st_size) and modified in (None, found.st_mtime_ns)
    return (located, True) if same and stat.S_ISREG(found.st_mode) else (None, False)


def _identity(located: str) -> tuple[int, int] | str:
    """Return device and inode of a file, or its path without links where there are none: in an archive, for example."""
    try:
        found = os.stat(located)  # noqa: PTH116
    except OSError:
        return os.path.realpath(located)
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(located)


def _is_in_archive(located: str) -> bool:
    """Tell whether the first part of a path that is there, from its end on, is a file."""
    return next((part.is_file() for part in Path(located).parents if os.path.lexists(part)), False)
