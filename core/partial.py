"""Files and folders that are being written: their names, and whether a living process still writes them.

In: the path of what is to be written. Out: a hidden name beside it, `.NAME.PROCESS-RANDOM.partial`, unique to one
writer, who holds a lock on it; the system releases that if the process dies. So what a killed process left is told from
what is being written, in another container and on a shared disk too, where a process id says nothing.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be renamed either
    fcntl = None

#: Seconds without a write after which whatever wrote a file is taken to have been stopped for good.
ABANDONED_AFTER = 24 * 3600

_PARTIAL = re.compile(r"\.(?P<of>(?s:.+))\.(?P<process>\d+)-[0-9a-f]{8}\.partial")
#: A name may take 255 bytes, on an encrypted disk 143.
_MOST_BYTES = 100


def partial_of(path: Path) -> Path:
    """Return an unused, hidden name beside a path, of this process and of no other writer."""
    return path.with_name(f".{_beginning(path)}.{os.getpid()}-{os.urandom(4).hex()}.partial")


def is_partial(path: Path, of: Path | None = None) -> bool:
    """Tell whether a name is such a one, and, if `of` is given, one of that path's."""
    found = _PARTIAL.fullmatch(path.name)
    return found is not None and (of is None or found["of"] == _beginning(of))


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold an existing file or folder while the block writes it; it may be renamed meanwhile."""
    lock = None
    with contextlib.suppress(OSError):  # not every file system has locks: then its age decides
        lock = _locked(path)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold an existing file or folder as `held` does, where no other process does.

    Raises
    ------
    BlockingIOError
        Another one holds it.
    """
    lock = None
    try:
        lock = _locked(path)
    except BlockingIOError:
        raise
    except OSError:
        pass  # as above, but that nothing tells them apart
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def is_left(path: Path) -> bool:
    """Tell whether a partial file or folder was left by a process that was stopped: nobody will complete it.

    It is, if nobody holds it and its process is gone. Where that cannot be known, because the file system has no locks
    or another machine's process may have its number, it is once nothing was written for `ABANDONED_AFTER` seconds.
    """
    try:
        lock = _locked(path)
    except BlockingIOError:
        return False
    except OSError:
        return abandoned(path)
    if lock is None:
        return abandoned(path)
    os.close(lock)
    found = _PARTIAL.fullmatch(path.name)
    return (found is not None and not _is_running(int(found["process"]))) or abandoned(path)


def abandoned(path: Path) -> bool:
    """Tell whether a file, or all in a folder, was written to last more than `ABANDONED_AFTER` ago."""
    return time.time() - _last_written(path) > ABANDONED_AFTER


def _beginning(path: Path) -> str:
    return path.name.encode("utf-8", "surrogateescape")[:_MOST_BYTES].decode("utf-8", "ignore")


def _locked(path: Path) -> int | None:
    """Lock a file or folder and return its descriptor, which is to be closed; None where there are no such locks.

    Raises
    ------
    BlockingIOError
        Another holds it.
    OSError
        It cannot be opened, or not be locked.
    """
    if fcntl is None:
        return None
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks only; on Windows, where it would end the process, there are no locks either
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _last_written(path: Path) -> float:
    latest = 0.0
    for each in (path, *path.rglob("*")):
        with contextlib.suppress(OSError):
            latest = max(latest, each.lstat().st_mtime)
    return latest
