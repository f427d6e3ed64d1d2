"""A picture in an archive by its path, `photos.zip/cats/1.jpg`, as collections locate it; or in a shard in storage.

An archive is listed once, at the first picture that is wanted of it. Of a shard in object storage that is avoided where
the stored point says where in it the picture is. Of a zip and a plain tar, only that is read; of a Parquet file, its
group of rows; of a compressed tar, all that comes before it.
"""

import functools
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from cbir.collection.fields import MEMBER
from cbir.core.objects import ObjectError, is_object, stat_object
from cbir.core.uris import shown
from cbir.ingest.sources.archive import safe_path
from cbir.ingest.sources.entries import ARCHIVE_SUFFIXES
from cbir.ingest.sources.listing import Listing
from cbir.ingest.sources.members import ArchiveError, Member
from cbir.ingest.sources.readers import Readers
from cbir.model.errors import ImageError, PassingError
from cbir.model.picture import read_file

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
        return _archive(archive, status.st_mtime_ns, status.st_size).read(inner, path)
    except (ArchiveError, OSError) as error:
        raise ImageError(f"{shown(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def read_in_storage(address: str, stored: Mapping[str, Any] | None = None) -> bytes:
    """Return the content of a picture in object storage: an object, or in a shard that is one.

    Parameters
    ----------
    address : str
        The object's; or the shard's, and the path within it.
    stored : Mapping, optional
        Payload of the stored point whose picture it is. If it says where in its shard that is, that is read, and
        taken if it is the very content; else the shard is listed.

    Raises
    ------
    ImageError
        There is none, or it cannot be read.
    """
    try:
        for shard, inner in _shards_above(address):
            if (found := stat_object(shard)) is not None:
                archive = _archive(shard, found.tag or found.modified, found.size)
                return archive.read_stored(inner, address, stored or {}) or archive.read(inner, address)
    except (ArchiveError, ObjectError, OSError) as error:
        problem = getattr(error, "strerror", None) or error
        raise PassingError(f"{shown(address)} cannot be read: {problem}") from None
    return read_file(address)


def _shards_above(address: str) -> Iterator[tuple[str, str]]:
    """Yield what, above an address, has a name as archives have, and the rest of it."""
    start = address.index("://") + 3
    while (at := address.find("/", start)) >= 0:
        if address[:at].lower().endswith(ARCHIVE_SUFFIXES):
            yield address[:at], address[at + 1 :]
        start = at + 1


class _Archive:
    """The members of an archive, by their paths, or by where they are."""

    def __init__(self, archive: str) -> None:
        self._readers = Readers([archive])
        self._passing = is_object(archive)
        self._lock = threading.Lock()
        self._listing: tuple[Listing, str] | None = None

    def read(self, inner: str, location: str) -> bytes:
        """Return the content of the member of a path; ImageError if there is none.

        A listing that ended early, of a shard in storage, may be whole another time: it is not kept.
        """
        with self._lock:
            listing, problem = self._listing or self._listed()
            if not (problem and self._passing):
                self._listing = listing, problem
        file = listing.find(os.fsencode(inner))
        if file is None and problem and self._passing:
            raise PassingError(f"{shown(location)} cannot be found: {problem}")
        if file is None:
            raise ImageError(f"{shown(location)} does not exist: the archive holds no such picture")
        size, place, odd = file.extra
        member = Member(inner, size, 0, tuple(json.loads(place)), odd)
        return self._readers.read(0, member, shown(location))

    def read_stored(self, inner: str, location: str, stored: Mapping[str, Any]) -> bytes | None:
        """Return the content that a payload says is in a place of the archive; None if that is not so."""
        place, size, sha256 = stored.get(MEMBER), stored.get("bytes", -1), stored.get("sha256")
        # Other tools write payloads too.
        if not isinstance(place, list) or not all(isinstance(value, int) for value in (*place, size)):
            return None
        try:
            content = self._readers.read(0, Member(inner, size, 0, tuple(place)), location)
        except Exception:  # noqa: BLE001 - as above: the place may be none that the reader knows
            return None
        return content if hashlib.sha256(content).hexdigest() == sha256 else None

    def _listed(self) -> tuple[Listing, str]:
        """Return the members, and why there may be more of them; empty if there are not."""
        reader = self._readers[0]
        known = len(reader.problems)
        listing = Listing("size", "place", "problem")
        rows: dict[bytes, list[tuple[Any, ...]]] = {}
        count = 0

        def add() -> None:
            for folder, files in rows.items():
                listing.add(folder, files)
            rows.clear()

        for member in reader.listed(lambda *_: 0):
            inner = safe_path(member.name)
            if inner is None or member.left_out:
                continue
            folder, _, name = inner.rpartition(b"/")
            rows.setdefault(folder, []).append((name, member.size, json.dumps(member.place), member.problem))
            count += 1
            if count % _TOGETHER == 0:
                add()
        add()
        listing.leave_out_repeated("")
        return listing, "; ".join(reader.problems[known:])


@functools.lru_cache(maxsize=_REMEMBERED)
def _archive(archive: str, modified: int, size: int) -> _Archive:  # noqa: ARG001 - another file is another archive
    return _Archive(archive)
