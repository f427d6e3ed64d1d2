"""Files and folders that are written completely or not at all, whatever interrupts the writing.

In: a path and its content. Out: the file or folder, renamed into place once it is complete.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cbir.core.leftover import partials, remove
from cbir.core.partial import held, partial_of

#: What systems say of a folder that is renamed to a name that is taken.
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, which replaces `path` if the block succeeds and is removed if not.

    The temporary file has a name of its own, so that two processes may write the same file at once:
    the last one to finish wins. Of a symbolic link, the file that it points to is replaced. What a killed process
    left of the same file is removed.

    Raises
    ------
    OSError
        As the system gives it; an existing file stays as it was.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    partial = _beside(path)
    partial.touch(exist_ok=False)
    try:
        with held(partial):
            yield partial
            _to_disk(partial)
            partial.replace(path)
        _to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes | memoryview) -> None:
    """Write a file, replacing an existing one only once the new content is on disk; OSError as above."""
    with atomic_file(path) as partial:
        partial.write_bytes(content)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` if the block succeeds and is removed if not.

    Raises
    ------
    FileExistsError
        Something has that name by now.
    OSError
        As the system gives it.
    """
    with scratch_folder(path) as folder:
        yield folder
        folder_to_disk(folder)
        try:
            folder.rename(path)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        _to_disk(path.parent)


@contextlib.contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary, hidden folder beside `path`, on the same disk, which is removed at the end if it is there.

    What killed processes left of it is removed too.
    """
    folder = _beside(path)
    folder.mkdir()
    try:
        with held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_to_disk(folder: Path) -> None:
    """Wait until all that is in a folder is on disk, and would be there after a power cut; OSError if it cannot be."""
    for each in (*folder.rglob("*"), folder):
        _to_disk(each)


def _beside(path: Path) -> Path:
    """Return an unused, hidden name in the folder of `path`, which is made if need be, and swept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        for left in partials(path.parent, path):
            remove(left.path)
    return partial_of(path)


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk; Windows syncs no folder, and only what may be written.

    Raises
    ------
    OSError
        A file could not be written out: the disk is full, or fails.
    """
    if path.is_dir():
        with contextlib.suppress(OSError):  # not every file system syncs folders
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return
    with path.open("rb+") as file:
        os.fsync(file.fileno())
