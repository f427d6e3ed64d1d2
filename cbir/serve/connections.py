"""Connections: those that say nothing are closed after a while, so that they are not in the way of others.

In: what uvicorn does with a connection. Out: the same, but a request's head has to come within some seconds: uvicorn
itself closes only what is idle between two requests, and waits for ever for a first one, and for the rest of one.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

#: Seconds for a request's head to come, and for the rest of a body that nobody reads once it is answered.
HEAD_SECONDS = 15.0
#: Descriptors that are asked of the system, and those left for files, pipes and sockets of others.
_WANTED, _OTHERS, _FEWEST = 8192, 256, 64


class Connection(H11Protocol):
    """A connection over HTTP/1.1."""

    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, not for ever; and not for one of too many."""
        super().connection_made(transport)
        most = self.config.limit_concurrency
        if most is not None and len(self.connections) > most:
            transport.abort()
            return
        self._closing = self.loop.call_later(HEAD_SECONDS, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what is not needed any more."""
        self._stay()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; the rest of its head has to come in the same time."""
        super().data_received(data)
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._stay()
        elif self._closing is None:
            self._closing = self.loop.call_later(HEAD_SECONDS, self._close)

    def _stay(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _close(self) -> None:
        self._closing = None
        if not self.transport.is_closing():
            self.transport.close()


def most_connections() -> int:
    """Return how many connections there may be, after asking the system for more descriptors."""
    if sys.platform == "win32":
        return _WANTED
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(_FEWEST, (_WANTED if soft == resource.RLIM_INFINITY else soft) - _OTHERS)
