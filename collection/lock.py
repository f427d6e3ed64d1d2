"""The right to fill a collection, held by one process of this machine at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cbir.collection.interface import CollectionBusyError


@contextlib.contextmanager
def held(lock: Path, name: str) -> Iterator[None]:
    """Hold the lock file while the block runs; the system lets go of it if the process dies.

    Raises
    ------
    CollectionBusyError
        At once, if another process holds it.
    """
    import filelock

    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(lock, blocking=False):
            yield
    except filelock.Timeout:
        raise CollectionBusyError(f"another process is filling collection '{name}'; wait for it to end") from None
