"""Worker threads: how many cores there are, and one bounded, ordered, cancellable map over them.

Used wherever the work releases Python's lock: Pillow's decoders, OpenCV, hashing, requests to a server, and waiting for
the worker processes of processes.py.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from cbir.core.interruptible import GRACE, interrupt_calls

T = TypeVar("T")
R = TypeVar("R")

#: Threads at the most, by default: more do not decode faster, but hold more in memory.
MOST_THREADS = 8

#: What a container may use of the processors, as Linux says: microseconds of every so many, or `max`.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Return how many cores this process may use, which a container or taskset may have limited; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, _, period = _QUOTA.read_text().partition(" ")
        return cores if quota == "max" else max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError, ZeroDivisionError):
        return cores


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`, the last one shorter (`itertools.batched` of Python 3.12)."""
    upcoming = iter(items)
    while batch := list(islice(upcoming, size)):
        yield batch


def portions(
    items: Iterable[T], size: int, *, weigh: Callable[[T], int] | None = None, heavy: int = 0
) -> Iterator[list[T]]:
    """Yield the items in lists of `size`, shorter ones where the items of a list weigh `heavy` or more."""
    portion: list[T] = []
    weight = 0
    for item in items:
        portion.append(item)
        weight += 0 if weigh is None else weigh(item)
        if len(portion) >= size or (weigh is not None and weight >= heavy):
            yield portion
            portion, weight = [], 0
    if portion:
        yield portion


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    threads: int | None = None,
    ahead: int | None = None,
    weigh: Callable[[T], int] | None = None,
    most_weight: int = 0,
) -> Generator[R, None, None]:
    """Apply a function to items in threads, and yield the results in the items' order.

    Items are taken from the iterable, in the calling thread, only as results are consumed, so that memory stays
    bounded: by their number, and by their weight where that is known. If the function or the items raise, or the
    generator is closed, calls that have not begun are cancelled, and only those in work are waited for (after Ctrl-C,
    those that wait for a server are ended). Close it with `contextlib.closing`: after an error of the consumer, Python
    may keep it open until the error is forgotten.

    Parameters
    ----------
    function : callable
    items : iterable
    threads : int, optional
        By default one for each usable core, `MOST_THREADS` at the most.
    ahead : int, optional
        Results that may be waiting or in work beyond the one being consumed; by default twice the threads.
    weigh : callable, optional
        What an item weighs, such as the bytes that it holds until its result is consumed.
    most_weight : int
        Of all items in work or waiting; an item that weighs more is alone.

    Yields
    ------
    The function's results; its exceptions are raised at their place.
    """
    count = threads or min(MOST_THREADS, usable_cores())
    most = 2 * count if ahead is None else ahead
    waiting: deque[tuple[int, Future[R]]] = deque()
    held = 0
    pool = ThreadPoolExecutor(count, thread_name_prefix="cbir")
    try:
        for item in items:
            weight = 0 if weigh is None else weigh(item)
            while waiting and held + weight > most_weight and weigh is not None:
                yield waiting[0][1].result()
                held -= waiting.popleft()[0]
            waiting.append((weight, pool.submit(function, item)))
            held += weight
            if len(waiting) > most:
                yield waiting[0][1].result()
                held -= waiting.popleft()[0]
        while waiting:
            yield waiting[0][1].result()
            held -= waiting.popleft()[0]
    finally:
        _leave(pool, [future for _, future in waiting])


def each(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Apply a function to items in threads, as `ordered_map`, but to a single one in this thread."""
    if len(items) < 2:
        return [function(item) for item in items]
    with closing(ordered_map(function, items)) as results:
        return list(results)


def prefetched(items: Iterable[T]) -> Generator[T, None, None]:
    """Yield the items, each of which another thread fetches while the one before is in use.

    Worth it where fetching releases Python's lock. Close it, as an `ordered_map`: the thread is waited for.
    """
    upcoming, nothing = iter(items), object()
    pool = ThreadPoolExecutor(1, thread_name_prefix="cbir")
    waiting = pool.submit(next, upcoming, nothing)
    try:
        while (item := waiting.result()) is not nothing:
            waiting = pool.submit(next, upcoming, nothing)
            yield item  # type: ignore[misc]
    finally:
        _leave(pool, [waiting])


def _leave(pool: ThreadPoolExecutor, futures: list[Future[Any]]) -> None:
    """Cancel what nobody needs any more, and wait for what is in work; after Ctrl-C, a few seconds for a server."""
    for future in futures:
        future.cancel()
    # Not where a consumer has merely seen enough: others of this process may be using the same server.
    if _stopped(sys.exc_info()[1]) and wait(futures, GRACE).not_done:
        interrupt_calls()
    pool.shutdown()


def _stopped(error: BaseException | None) -> bool:
    """Tell whether Ctrl-C is why a generator ends: itself, or what its consumer was ended by when it closed it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
