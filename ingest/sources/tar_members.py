"""The members of a tar, plain or compressed as a whole by gzip, bzip2 or xz.

A plain one is read where a member lies. A compressed one can only be read
forward: what was read lately is kept for a while (spool.py), so that threads
may be some members apart.
"""

import bz2
import gzip
import lzma
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from cbir.core.errors import first_line
from cbir.core.objects import StorageFault
from cbir.ingest.sources.members import MOST_TIMES, Member, MemberError, Wanted, refuse_size
from cbir.ingest.sources.spool import Spool
from cbir.model.picture import MAX_BYTES

_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
#: Headers, and names in them, are not larger: tarfile reads them whole.
_HEADER_BYTES = 16 << 20
#: A compressed tar may unpack to this much, or to `MOST_TIMES` its size.
_UNPACKED_BYTES = 1 << 30
_CHUNK = 1 << 20
_BLOCK = 512
_NANOSECONDS, _MOST_TIME = 1_000_000_000, 1 << 62


def begins_as_tar(file: IO[bytes]) -> bool:
    """Tell whether a file begins with a member's header, or unpacks to one; StorageFault if that cannot be told."""
    start = file.read(_BLOCK)
    opener = _opener(start)
    try:
        if opener is not None:
            file.seek(0)
            with opener(file) as unpacked:
                start = unpacked.read(_BLOCK)
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except StorageFault:
        raise
    except Exception:  # noqa: BLE001 - three libraries unpack, each with errors of its own
        return False
    return True


class TarMembers:
    """A tar, to be listed once, and read from in any thread.

    Parameters
    ----------
    path : Path
    """

    beside = True
    checked = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problems: list[str] = []
        with path.open("rb") as file:
            self._open_compressed = _opener(file.read(_BLOCK))
            self._size = file.seek(0, os.SEEK_END)
        self._spool = Spool(self._contents)

    @property
    def forward_only(self) -> bool:
        """Whether the tar is compressed."""
        return self._open_compressed is not None

    def listed(self, wanted: Wanted) -> Iterator[Member]:
        """Yield the members in the tar's order; those of the same name are all there, and the last one counts."""
        with self._opened() as file:
            forward = _Forward(file, self._most_unpacked, skips=not self.forward_only)
            for number, (info, head) in enumerate(_infos(forward, self.problems, wanted)):
                if not info.isdir():
                    yield _member(info, number if self.forward_only else info.offset_data, head)

    def read(self, member: Member, most: int = MAX_BYTES) -> bytes:
        """Return a member's content; see `Members.read`."""
        if problem := member.problem or refuse_size(member.size, member.size, most):
            raise MemberError(problem)
        try:
            content = self._spool.get(member.place[0]) if self.forward_only else self._slice(member)
        except Exception as error:  # noqa: BLE001 - three libraries unpack, each with errors of its own
            raise MemberError(f"cannot be read: {getattr(error, 'strerror', None) or first_line(error)}") from None
        if content is None or len(content) != member.size:
            raise MemberError(f"is cut off after {len(content or b''):,} of {member.size:,} bytes")
        return content

    def _slice(self, member: Member) -> bytes:
        with self._path.open("rb") as file:
            file.seek(member.place[0])
            return file.read(max(0, member.size))

    def _contents(self, wanted: int) -> Iterator[tuple[int, bytes]]:
        """Yield the content of every file that may be a picture, and of the one that is wanted."""
        with self._opened() as file:
            forward = _Forward(file, self._most_unpacked)
            for number, (info, _) in enumerate(_infos(forward, [], lambda *_: 0)):
                if info.isreg() and (number == wanted or info.size <= MAX_BYTES):
                    yield number, forward.take(info.size)

    def _opened(self) -> IO[bytes]:
        if self._open_compressed is None:
            return self._path.open("rb")
        return self._open_compressed(self._path if isinstance(self._path, Path) else self._path.open("rb"))

    @property
    def _most_unpacked(self) -> int | None:
        return max(_UNPACKED_BYTES, MOST_TIMES * self._size) if self.forward_only else None


class _Forward:
    """A file for tarfile, which reads it forward only, and no more at once than a header may have.

    Headers that lie about sizes make tarfile go backwards for ever (CVE-2025-8194), or fill the memory.
    """

    def __init__(self, file: IO[bytes], most: int | None, *, skips: bool = False) -> None:
        self._file, self._most, self._skips = file, most, skips
        self._position = 0
        self.last = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER_BYTES:
            raise tarfile.ReadError("a header of an impossible size")
        self.last = self.take(size)
        return self.last

    def take(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        if self._most is not None and self._position + size > self._most:
            raise tarfile.ReadError(f"it unpacks to more than {self._most / 1e9:.0f} GB, as no pictures do")
        content = self._file.read(size)
        self._position += len(content)
        return content

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or position < self._position:
            raise tarfile.ReadError("a header that points backwards")
        if self._skips:
            self._file.seek(position)
            self._position = position
        while self._position < position and self.take(min(_CHUNK, position - self._position)):
            pass
        return self._position


def _infos(forward: _Forward, problems: list[str], wanted: Wanted) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield what the headers say, and the first bytes; note in `problems` why there are no more, if not at the end."""
    count = 0
    try:
        # A reader is a file to tarfile as far as it uses one.
        tar = tarfile.open(fileobj=forward, mode="r:", errors="surrogateescape")  # type: ignore[call-overload]  # noqa: SIM115
        while (info := tar.next()) is not None:
            tar.members.clear()  # it keeps all of them
            if info.size < 0:
                raise tarfile.ReadError("a negative size")
            size = min(info.size, wanted(info.name, info.size)) if info.isreg() else 0
            yield info, forward.take(size) if size else b""
            count += 1
        if any(forward.last) or len(forward.last) < _BLOCK:
            raise tarfile.ReadError("what follows is no header" if forward.last else "its end is missing")
    except (GeneratorExit, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - what tarfile and three other libraries raise for damaged files
        problems.append(
            f"it is damaged after {count:,} members: {getattr(error, 'strerror', None) or first_line(error)}"
        )


def _member(info: tarfile.TarInfo, place: int, head: bytes) -> Member:
    left_out = "links" if info.issym() or info.islnk() else "" if info.isreg() else "devices and the like"
    problem = refuse_size(info.size, info.size, MAX_BYTES)
    if info.issparse():
        problem = "is stored with holes (a GNU sparse file)"
    try:
        modified = int(info.mtime * _NANOSECONDS)
    except (ValueError, OverflowError):
        modified = 0
    modified = max(-_MOST_TIME, min(_MOST_TIME, modified))
    return Member(info.name, info.size, modified, (place,), problem, left_out, head)


def _opener(start: bytes) -> Any:
    return next((opener for magic, opener in _COMPRESSED.items() if start.startswith(magic)), None)
