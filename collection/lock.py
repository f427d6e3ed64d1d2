"""A lock on filling a collection: one process of this machine at a time."""

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
        with filelock.FileLock(lock, blocking=False):
            yield
    except filelock.Timeout:
        raise CollectionBusyError(f"another process is filling collection '{name}'; wait until it ends") from None
