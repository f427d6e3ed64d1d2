"""What the driver says while workers wait for the server: their own warnings stay on their machines.

In: what the workers give back, as it comes, and a question for the server. Out: the same.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from cbir.core.errors import CbirError, CbirWarning

T = TypeVar("T")

#: Seconds without a result after which the server is asked.
PATIENCE = 10.0


def watched(results: Iterable[T], ask: Callable[[], object], patience: float = PATIENCE) -> Iterator[T]:
    """Yield results; as long as none comes, ask from time to time in another thread: a server's silence warns there.

    Parameters
    ----------
    results : iterable
    ask : callable
        Its errors are passed over: the workers have their own.
    patience : float
        Seconds.
    """
    ended = threading.Event()
    last = time.monotonic()

    def watch() -> None:
        nonlocal last
        while not ended.wait(min(patience, max(0.01, last + patience - time.monotonic()))):
            if time.monotonic() >= last + patience:
                with suppress(CbirError, CbirWarning):
                    ask()
                last = time.monotonic()

    threading.Thread(target=watch, name="cbir-waiting", daemon=True).start()
    try:
        for result in results:
            last = float("inf")  # nobody waits while the result is in use
            yield result
            last = time.monotonic()
    finally:
        ended.set()
