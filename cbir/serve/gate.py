"""What takes time is done in threads, a bounded number at once, and a bounded number waits: beyond these, 503.

In: functions. Out: what they return. The event loop stays free to answer others, and who asks too much learns it at
once instead of waiting in a queue that grows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

P = ParamSpec("P")
R = TypeVar("R")


class BusyError(Exception):
    """Too many requests wait already, or the server ends."""

    #: Seconds after which to ask again.
    retry_after = 1


class Gate:
    """Bounds the work in threads.

    Parameters
    ----------
    workers : int
        Calls at once.
    waiting : int
        Calls that may wait for one of these to end.
    """

    def __init__(self, workers: int, waiting: int) -> None:
        self._limiter = anyio.CapacityLimiter(workers)
        self._workers = workers
        self._most = workers + waiting
        self.inside = 0

    @property
    def working(self) -> int:
        """Calls in work."""
        return min(self.inside, self._workers)

    @property
    def waiting(self) -> int:
        """Calls that wait for one of these to end."""
        return self.inside - self.working

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a thread; BusyError if too many wait."""
        if self.inside >= self._most:
            raise BusyError("too many requests at once; ask again in a moment")
        self.inside += 1
        try:
            return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._limiter)
        finally:
            self.inside -= 1
