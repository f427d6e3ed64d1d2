"""Worker threads: how many cores there are, and one bounded, ordered, cancellable map over them.

Used wherever the work releases Python's lock: Pillow's decoders, OpenCV, hashing, requests to a server.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Threads at the most, by default: more do not decode faster, but hold more in memory.
MOST_THREADS = 8


def usable_cores() -> int:
    """Return how many cores this process may use, which a container or taskset may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`, the last one shorter (`itertools.batched` of Python 3.12)."""
    upcoming = iter(items)
    while batch := list(islice(upcoming, size)):
        yield batch


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], *, threads: int | None = None, ahead: int | None = None
) -> Generator[R, None, None]:
    """Apply a function to items in threads, and yield the results in the items' order.

    Items are taken from the iterable only as results are consumed, so that memory stays bounded. If the
    function or the items raise, or the generator is closed, calls that have not begun are cancelled. Close it
    with `contextlib.closing`: after an error of the consumer, Python may keep it open until the error is forgotten,
    and waits at exit for all calls that are left.

    Parameters
    ----------
    function : callable
    items : iterable
    threads : int, optional
        By default one for each usable core, `MOST_THREADS` at the most.
    ahead : int, optional
        Results that may be waiting or in work beyond the one being consumed; by default twice the threads.

    Yields
    ------
    The function's results; its exceptions are raised at their place.
    """
    count = threads or min(MOST_THREADS, usable_cores())
    most = 2 * count if ahead is None else ahead
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="cbir") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
