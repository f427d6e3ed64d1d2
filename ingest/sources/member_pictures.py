"""A picture in an archive by its path, `photos.zip/cats/1.jpg`, as collections locate it.

An archive is listed once, at the first picture that is wanted of it.
"""

import functools
import json
import os
from typing import Any

from cbir.core.uris import shown
from cbir.ingest.sources.archive import safe_path
from cbir.ingest.sources.listing import Listing
from cbir.ingest.sources.members import ArchiveError, Member
from cbir.ingest.sources.readers import Readers
from cbir.model.errors import ImageError

_TOGETHER, _REMEMBERED = 1000, 8


def archive_above(path: str) -> tuple[str, str] | None:
    """Return the file that a path leads into, as if it were a folder, and the rest; None if there is none."""
    above, rest = os.path.split(path)
    while above and rest:
        if os.path.isfile(above):  # noqa: PTH113 - a path of any bytes, never raises
            return above, path[len(above) :].lstrip("/" + os.sep)
        if os.path.lexists(above):
            return None
        above, rest = os.path.split(above)
    return None


def read_member(path: str) -> bytes:
    """Return the content of a picture in an archive.

    Parameters
    ----------
    path : str
        The archive's path, and the member's within it.

    Raises
    ------
    ImageError
        There is no such archive, or no such member, or it cannot be read.
    """
    found = archive_above(path)
    if found is None:
        raise ImageError(f"{shown(path)} does not exist")
    archive, inner = found
    try:
        status = os.stat(archive)  # noqa: PTH116 - a path of any bytes
        index = _index(archive, status.st_mtime_ns, status.st_size)
    except (ArchiveError, OSError) as error:
        raise ImageError(f"{shown(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return index.read(inner, path)


class _Index:
    """The members of an archive by their paths."""

    def __init__(self, archive: str) -> None:
        self._readers = Readers([archive])
        self._listing = Listing("size", "place", "problem")
        rows: dict[bytes, list[tuple[Any, ...]]] = {}
        count = 0
        for member in self._readers[0].listed(lambda *_: 0):
            inner = safe_path(member.name)
            if inner is None or member.left_out:
                continue
            folder, _, name = inner.rpartition(b"/")
            rows.setdefault(folder, []).append((name, member.size, json.dumps(member.place), member.problem))
            count += 1
            if count % _TOGETHER == 0:
                self._add(rows)
        self._add(rows)
        self._listing.leave_out_repeated("")

    def _add(self, rows: dict[bytes, list[tuple[Any, ...]]]) -> None:
        for folder, files in rows.items():
            self._listing.add(folder, files)
        rows.clear()

    def read(self, inner: str, location: str) -> bytes:
        file = self._listing.find(os.fsencode(inner))
        if file is None:
            raise ImageError(f"{shown(location)} does not exist: the archive holds no such picture")
        size, place, problem = file.extra
        member = Member(inner, size, 0, tuple(json.loads(place)), problem)
        return self._readers.read(0, member, shown(location))


@functools.lru_cache(maxsize=_REMEMBERED)
def _index(archive: str, modified: int, size: int) -> _Index:  # noqa: ARG001 - another file is another index
    return _Index(archive)
