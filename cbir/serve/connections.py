"""Connections: those that say nothing are closed after a while, so that they are not in the way of others.

In: what uvicorn does with a connection. Out: the same, but a request's head has to come within some seconds, and an
answer has to be read: uvicorn itself closes only what is idle between two requests, and waits for ever for a first
one, for the rest of one, and for a reader.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from cbir.serve.headers import COMMON

if TYPE_CHECKING:
    import asyncio

#: Seconds for a request's head to come, and for the rest of a body that nobody reads once it is answered.
HEAD_SECONDS = 15.0
#: Of an answer that waits to be sent, so many bytes have to go in so many seconds: a slow phone takes 30 times as many.
SENDING_SECONDS, _SENT_BYTES = 15.0, 1 << 16
#: Descriptors that are asked of the system, and those left for files, pipes and sockets of others.
_WANTED, _OTHERS, _FEWEST = 8192, 256, 64


class Connection(H11Protocol):
    """A connection over HTTP/1.1."""

    _closing: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None
    #: Bytes that waited when it was last looked at; infinity: more than that was sent since.
    _waited = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, not for ever; and not for one of too many."""
        super().connection_made(transport)
        most = self.config.limit_concurrency
        self.limit_concurrency = None  # uvicorn would answer by itself, without our headers, one connection earlier
        if most is not None and len(self.connections) > most:
            transport.abort()
            return
        self._closing = self.loop.call_later(HEAD_SECONDS, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what is not needed any more."""
        self._stay()
        if self._sending is not None:
            self._sending.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; the rest of its head has to come in the same time."""
        super().data_received(data)
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._stay()
        elif self._closing is None:
            self._closing = self.loop.call_later(HEAD_SECONDS, self._close)

    def pause_writing(self) -> None:
        """Wait until the client has read some of an answer, not for ever."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on with an answer."""
        self._waited = math.inf
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Wait for the next request; what is left of the answer has to be read as well."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, with the headers of every answer."""
        headers = {
            **COMMON,
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(msg)),
            "Connection": "close",
        }
        response = h11.Response(
            status_code=400,
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            reason=b"Bad Request",
        )
        for event in (response, h11.Data(data=msg.encode("ascii")), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    def _watch(self) -> None:
        if self._sending is None and self.transport.get_write_buffer_size():
            self._waited = math.inf
            self._sending = self.loop.call_later(SENDING_SECONDS, self._check_sent)

    def _check_sent(self) -> None:
        self._sending = None
        waiting = self.transport.get_write_buffer_size()
        if waiting and waiting > self._waited - _SENT_BYTES:
            self.transport.abort()
        elif waiting:
            self._waited = waiting
            self._sending = self.loop.call_later(SENDING_SECONDS, self._check_sent)

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
