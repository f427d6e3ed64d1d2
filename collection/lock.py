"""A lock on filling a collection: one process of this machine at a time, and whether one holds it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cbir.collection.errors import CollectionBusyError


@contextlib.contextmanager
def filling(lock: Path, name: str) -> Iterator[None]:
    """Hold a lock file while the block runs; the system releases it if the process dies.

    Parameters
    ----------
    lock : Path
        The file; made, with its folder, if need be.
    name : str
        The collection's, for the message.

    Raises
    ------
    CollectionBusyError
        At once, if another process holds it.
    """
    import filelock

    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Not quite at once: `is_held` may be asking.
        with filelock.FileLock(lock).acquire(timeout=0.2, poll_interval=0.02):
            yield
    except filelock.Timeout:
        raise CollectionBusyError(f"another process is filling collection '{name}'; wait until it ends") from None


def is_held(lock: Path) -> bool:
    """Tell whether a process is filling the collection of a lock file: any process, also this one.

    A file that is there is locked for a moment to find out; none is made.
    """
    import filelock

    if not lock.is_file():
        return False
    try:
        with filelock.FileLock(lock, blocking=False):
            return False
    except filelock.Timeout:
        return True
