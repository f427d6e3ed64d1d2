"""Disk errors in one line, free space before something large is written, and how much something takes."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cbir.core.errors import CbirError

#: Bytes copied at a time.
_BLOCK = 1 << 20

#: Errors of the system: the disk is full; this user may not do that, or the disk is read-only.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn an OSError of the block into a CbirError that names the file, or `place`."""
    try:
        yield
    except OSError as error:
        raise CbirError(
            f"cannot use {error.filename or place}: {error.strerror or error}; {remedy(error)}name another place "
            "(CBIR_HOME, --save)"
        ) from error


def remedy(error: OSError) -> str:
    """Return what to do about an error of the system, before a comma and `or`; empty where that is not known."""
    if error.errno in _FULL:
        return "free some space, or "
    return "check the permissions, or " if error.errno in REFUSED else ""


def expanded(path: str | Path) -> Path:
    """Return a path with `~` as the folder of the user; `~nobody` stays as it is, as in a shell."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - `Path.expanduser` raises


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing if there is none.

    Raises
    ------
    CbirError
        It is no folder, or may not be read: that is not the same as empty.
    """
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CbirError(
            f"cannot read {folder}: {error.strerror or error}; {remedy(error)}name another place with CBIR_HOME"
        ) from error


def require_folder_of(path: Path) -> None:
    """Refuse to write where no folder is: more often than a new folder, it is a slip in a path.

    Raises
    ------
    CbirError
    """
    folder = expanded(path).absolute().parent
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise CbirError(f"cannot write {path.name}: {folder} {what}; make it first, or name another place")


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free on the disk of a folder, which may have to be made yet."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    return shutil.disk_usage(there).free


def check_room(folder: Path, wanted: int) -> None:
    """Refuse to begin what would write `wanted` bytes to a folder, if they are not free.

    Raises
    ------
    CbirError
    """
    free = free_bytes(folder)
    if free < wanted:
        raise CbirError(
            f"{wanted / 1e6:,.0f} MB are needed at {folder}, and {free / 1e6:,.0f} MB are free; "
            "free some space, or name another place with CBIR_HOME"
        )


def size_on_disk(path: Path) -> int:
    """Return the bytes that a file, or a folder with all that is in it, takes on disk; 0 if there is none.

    They may be fewer than the files' sizes: Qdrant's files are sparse. Links are not followed.
    """
    total = _allocated(path)
    for folder, folders, files in os.walk(path):
        total += sum(_allocated(Path(folder, name)) for name in (*folders, *files))
    return total


def _allocated(path: Path) -> int:
    with suppress(OSError):  # it may be removed meanwhile
        status = path.lstat()
        return getattr(status, "st_blocks", 0) * 512 or status.st_size
    return 0


def copy_folder(source: Path, target: Path) -> None:
    """Copy all that is in a folder into an empty one; OSError if anything of it cannot be read or written."""

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(source, onerror=fail):
        place = target / os.path.relpath(folder, source)
        for each in folders:
            (place / each).mkdir()
        for each in files:
            _copy_file(Path(folder, each), place / each)


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file, but for its holes: Qdrant's are mostly empty."""
    with source.open("rb") as read, target.open("wb") as written:
        while block := read.read(_BLOCK):
            if block.count(0) == len(block):
                written.seek(len(block), os.SEEK_CUR)
            else:
                written.write(block)
        written.truncate()
