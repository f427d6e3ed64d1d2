"""Archives by their paths: which kind a file is, and what reads its members.

A few are open at a time: a reader of what can only be read forward keeps some
of it for a while.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from cbir.core.errors import first_line
from cbir.core.objects import ObjectFile, StorageFault, is_object
from cbir.core.uris import shown
from cbir.ingest.sources.entries import ARCHIVE_SUFFIXES
from cbir.ingest.sources.members import ArchiveError, Member, MemberError, Members
from cbir.ingest.sources.object_members import ObjectMembers
from cbir.ingest.sources.parquet_rows import ParquetRows, is_parquet
from cbir.ingest.sources.tar_members import TarMembers, begins_as_tar
from cbir.ingest.sources.zip_members import ZipMembers, is_zip
from cbir.model.errors import ImageError, PassingError

#: Archives that may keep something at a time.
_OPEN = 4


def archive_kind(path: Path) -> str | None:
    """Return `zip`, `tar` or `parquet` by the first bytes of a file; None for others, and if it cannot be read.

    A compressed file is a tar if its beginning unpacks to one. StorageFault: an object in storage that cannot be read.
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if is_zip(file):
                return "zip"
            file.seek(0)
            if is_parquet(file.read(8)):
                return "parquet"
            file.seek(0)
            return "tar" if begins_as_tar(file) else None
    except StorageFault:
        raise
    except (OSError, ValueError):
        return None


def open_members(path: Path) -> Members:
    """Return a reader of an archive's members.

    Raises
    ------
    ArchiveError
        Neither a zip, nor a tar, nor a Parquet file of pictures, or it cannot be read.
    """
    try:
        kind = archive_kind(path)
        if kind == "zip":
            return ZipMembers(path)
        if kind == "tar":
            return TarMembers(path)
        if kind == "parquet":
            return ParquetRows(path)
        path.open("rb").close()
    except OSError as error:
        raise ArchiveError(f"{shown(str(path))} cannot be read: {error.strerror or first_line(error)}") from None
    raise ArchiveError(
        f"{shown(str(path))} is neither a .zip, nor a .tar (plain or compressed by gzip, bzip2 or xz), "
        "nor a .parquet file"
    )


class Readers:
    """Readers of some archives, by number; they open when they are needed, and can be pickled.

    Parameters
    ----------
    paths : sequence of str
        Or the address of a bucket.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._lock = threading.Lock()
        self._open: OrderedDict[int, Members] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self._paths}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["paths"])  # type: ignore[misc]

    def __getitem__(self, number: int) -> Members:
        """Return an archive's reader; see `open_members` for what it raises."""
        with self._lock:
            if number not in self._open:
                self._open[number] = self._opened(self._paths[number])
                if len(self._open) > _OPEN:
                    self._open.popitem(last=False)  # who still reads from it holds it
            self._open.move_to_end(number)
            return self._open[number]

    @staticmethod
    def _opened(path: str) -> Members:
        if not is_object(path):
            return open_members(Path(path))
        shard = path.lower().endswith(ARCHIVE_SUFFIXES)
        return open_members(cast("Path", ObjectFile(path))) if shard else ObjectMembers(path)

    def read(self, number: int, member: Member, location: str) -> bytes:
        """Return a member's content.

        Raises
        ------
        ImageError
            It cannot be read; the message begins with `location`.
        """
        try:
            if member.problem:
                raise MemberError(member.problem)
            content = self[number].read(member)
        except MemberError as error:
            raise ImageError(f"{location} {error}") from None
        except ArchiveError as error:
            raise PassingError(f"{location} {error}") from None
        if not content:
            raise ImageError(f"{location} is empty (0 bytes)")
        return content
