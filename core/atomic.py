"""Files and folders that are written completely or not at all, whatever interrupts the writing.

In: a path and its content. Out: the file or folder, renamed into place once it is complete.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

#: What systems say of a folder that is renamed to a name that is taken.
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, which replaces `path` if the block succeeds and is removed if not.

    The temporary file has a name of its own, so that two processes may write the same file at once:
    the last one to finish wins. Of a symbolic link, the file that it points to is replaced.

    Raises
    ------
    OSError
        As the system gives it; an existing file stays as it was.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    partial = _beside(path)
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
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
    folder = _beside(path)
    folder.mkdir()
    try:
        yield folder
        try:
            folder.rename(path)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _beside(path: Path) -> Path:
    """Return an unused, hidden name in the folder of `path`, which is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name[:100]}.{os.getpid()}-{os.urandom(4).hex()}.partial")
