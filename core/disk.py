"""Disk errors in one line, free space before something large is written, and how much something takes."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cbir.core.errors import CbirError


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn an OSError of the block into a CbirError that names the file, or `place`."""
    try:
        yield
    except OSError as error:
        raise CbirError(
            f"cannot write to {error.filename or place}: {error.strerror or error}; "
            "free some space, or name another place (CBIR_HOME, --save)"
        ) from error


def require_folder_of(path: Path) -> None:
    """Refuse to write where no folder is: more often than a new folder, it is a slip in a path.

    Raises
    ------
    CbirError
    """
    folder = path.expanduser().absolute().parent
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise CbirError(f"cannot write {path.name}: {folder} {what}; make it first, or name another place")


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free on the disk of an existing folder."""
    return shutil.disk_usage(folder).free


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
