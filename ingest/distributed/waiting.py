"""What the driver says while workers wait for the server: their own warnings stay on their machines.

In: what the workers give back, as it comes, and a question for the server. Out: the same, and a warning for each time
that the server is away.
"""

import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from cbir.core.errors import CbirError, CbirWarning

T = TypeVar("T")

#: Seconds without a result after which the server is asked.
PATIENCE = 10.0


def watched(results: Iterable[T], ask: Callable[[], object], patience: float = PATIENCE) -> Iterator[T]:
    """Yield results; as long as none comes, ask from time to time in another thread, and warn of what is wrong.

    Parameters
    ----------
    results : iterable
    ask : callable
        Whether the server answers, once: whoever stores the results needs its patience afterwards. An error is the
        first of those that the workers see, who ask again.
    patience : float
        Seconds.
    """
    ended = threading.Event()
    last = time.monotonic()

    def watch() -> None:
        nonlocal last
        told = False
        while not ended.wait(min(patience, max(0.01, last + patience - time.monotonic()))):
            if time.monotonic() >= last + patience:
                try:
                    ask()
                    told = False
                except CbirError as error:
                    if not told:
                        told = True
                        with suppress(CbirWarning):  # where warnings are errors, this thread has nobody to tell
                            warnings.warn(f"{error}; the workers wait for it", CbirWarning, stacklevel=2)
                last = time.monotonic()

    threading.Thread(target=watch, name="cbir-waiting", daemon=True).start()
    try:
        for result in results:
            last = float("inf")  # nobody waits while the result is in use
            yield result
            last = time.monotonic()
    finally:
        ended.set()
