"""Bodies of requests are bounded while they come: in bytes, in time, and all of them together.

In: what a client sends, as fast or as slow as it likes. Out: a body for the application, or a problem document: 413 for
too many bytes, whether they were announced or not, 408 for too slow a client, 503 where all together are too much.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from cbir.serve.problems import problem

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cbir.serve.config import ServeConfig

#: Bytes of what is no picture: a vector of the largest dimension takes 1.3 MB as JSON.
_MOST_JSON, _MOST_FIELDS = 1 << 22, 1 << 16
#: Of a form beside the picture in it.
_AROUND = 1 << 20
#: Seconds, and bytes, of a refused body that are still read, so that its sender sees the answer and no broken line.
_DRAINED_SECONDS, _DRAINED_BYTES = 2.0, 1 << 26


class _RefusedError(HTTPException):
    """A body that is not read on; the application need not know why."""


class Bodies:
    """Bounds the bodies of requests.

    Parameters
    ----------
    app : ASGIApp
    config : ServeConfig
    """

    def __init__(self, app: ASGIApp, config: ServeConfig) -> None:
        self._app = app
        self._config = config
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with a bounded body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(self, receive, self._most(headers))
        answered = False

        async def unless_refused(message: Message) -> None:
            nonlocal answered
            answered = answered or (message["type"] == "http.response.start" and body.refused is None)
            if answered:
                await send(message)

        try:
            announced = headers.get("content-length", "")
            if announced.isdecimal() and int(announced) > body.most:
                body.refuse(413)
            else:
                await self._app(scope, body.receive, unless_refused)
        except _RefusedError:
            pass  # the application lets it through
        finally:
            self._held -= body.bytes
        if body.refused is not None and not answered:
            if headers.get("expect", "").lower() != "100-continue":
                await _drain(receive)
            await body.refused(scope, receive, send)

    def _most(self, headers: Headers) -> int:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json" or kind.endswith("+json"):
            return min(_MOST_JSON, self._config.most_bytes)
        if kind == "application/x-www-form-urlencoded":
            return _MOST_FIELDS
        return self._config.most_bytes + (_AROUND if kind == "multipart/form-data" else 0)

    def hold(self, count: int) -> bool:
        """Take so many bytes more for a body; return whether there is room for them."""
        self._held += count
        return self._held <= self._config.bodies_bytes

    @property
    def seconds(self) -> tuple[float, float]:
        """For all of a body, and for its next part."""
        return self._config.body_seconds, self._config.pause_seconds


class _Body:
    """One request's body."""

    def __init__(self, bodies: Bodies, receive: Receive, most: int) -> None:
        self.most = most
        self.bytes = 0
        self.refused: Response | None = None
        self._bodies = bodies
        self._receive = receive
        self._ended = False
        self._began = time.monotonic()

    async def receive(self) -> Message:
        if self._ended:  # whether the client is still there may take as long as the answer
            return await self._receive()
        if self.refused is not None:
            raise _RefusedError(self.refused.status_code)
        whole, pause = self._bodies.seconds
        left = whole - (time.monotonic() - self._began)
        try:
            async with asyncio.timeout(max(0.0, min(left, pause))):
                message = await self._receive()
        except TimeoutError:
            raise self.refuse(408) from None
        if message["type"] != "http.request":
            return message
        count = len(message.get("body", b""))
        self.bytes += count
        self._ended = not message.get("more_body", False)
        room = self._bodies.hold(count)
        if self.bytes > self.most:
            raise self.refuse(413)
        if not room:
            raise self.refuse(503)
        return message

    def refuse(self, status: int) -> _RefusedError:
        """Decide what is answered in place of whatever the application answers; return what ends its reading."""
        detail = {
            408: "the body came too slowly; send it again",
            413: f"the body has more than {self.most:,} bytes, which are not taken",
            503: "too much is being uploaded at once",
        }[status]
        headers = {"Connection": "close"} | ({"Retry-After": "5"} if status == 503 else {})
        self.refused = problem(status, detail, headers)
        return _RefusedError(status)


async def _drain(receive: Receive) -> None:
    """Read some of what nobody wants."""
    read = 0
    try:
        async with asyncio.timeout(_DRAINED_SECONDS):
            while read < _DRAINED_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
