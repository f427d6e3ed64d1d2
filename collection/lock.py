"""Among processes of this machine: a lock on filling a collection, whether one holds it, and waiting for one."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cbir.collection.errors import CollectionBusyError
from cbir.core.disk import REFUSED
from cbir.core.errors import CbirWarning, warn_caller

#: Seconds between two tries to get what another process has.
_RETRY_SECONDS = 0.02
#: Seconds after which whoever waits is told what for.
_SAY_AFTER = 1.0


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

    A file that is there is locked for a moment to find out; none is made. Where that is not permitted, the answer is
    no: whoever may not lock the file may not change anything beside it either.
    """
    import filelock

    try:
        if not lock.is_file():
            return False
        with filelock.FileLock(lock, blocking=False):
            return False
    except filelock.Timeout:
        return True
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        return False


class Patience:
    """Waits between tries to get what another process has, and after a second says so.

    Parameters
    ----------
    seconds : float
        To wait at the most, from now on.
    waiting_for : callable
        Returns what is waited for, such as "another process that uses collection 'c'".
    """

    def __init__(self, seconds: float, waiting_for: Callable[[], str]) -> None:
        self._seconds = seconds
        self._waiting_for = waiting_for
        self._start = time.monotonic()
        self._said = False

    def wait(self) -> bool:
        """Wait a moment before the next try; return False at once if the time is over."""
        passed = time.monotonic() - self._start
        if passed > self._seconds:
            return False
        if passed >= _SAY_AFTER and not self._said:
            self._said = True
            warn_caller(f"waiting for {self._waiting_for()}, up to {self._seconds:.0f} s", CbirWarning)
        time.sleep(_RETRY_SECONDS)
        return True
