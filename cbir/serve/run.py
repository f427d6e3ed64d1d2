"""The server's process: it listens, says where, and ends in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio.to_thread
import uvicorn

from cbir.collection.lent.lender import lending
from cbir.core.errors import CbirError
from cbir.serve.app import create_app
from cbir.serve.connections import Connection, most_connections
from cbir.serve.keeper import Keeper
from cbir.serve.warned import sorted_by_thread

if TYPE_CHECKING:
    from cbir.serve.config import ServeConfig
    from cbir.serve.library import Library
    from cbir.serve.state import State


def run(library: Library, config: ServeConfig, ready: Callable[[str], object]) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Raises
    ------
    CbirError
        The address cannot be listened at.
    """
    try:
        listening = _listening(config)
        app = create_app(library, config)
    except BaseException:
        library.close()
        raise
    with listening:
        server = _Server(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="on",
                # An idle connection costs a descriptor and some kilobytes, so that there may be thousands: work is
                # bounded by the gate. Beyond these, `Connection` closes them, before descriptors run out.
                limit_concurrency=most_connections(),
                timeout_keep_alive=10,
                timeout_graceful_shutdown=5,
            ),
            lambda: ready(_address(config, listening)),
            lambda: _lending(library, app.state.cbir),
        )
        with sorted_by_thread(), _quiet():
            server.run(sockets=[listening])


def _lending(library: Library, state: State) -> AbstractContextManager[object]:
    """Lend embedded collections to commands that run beside the server; those on a Qdrant server are everybody's."""
    if library.settings.qdrant_url is not None:
        return nullcontext()
    return lending(library.settings.collections, Keeper(state))


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        started: Callable[[], object],
        lend: Callable[[], AbstractContextManager[object]],
    ) -> None:
        super().__init__(config)
        self._told = started
        self._lend = lend
        self._lending = ExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets=sockets)
        self._lending.enter_context(self._lend())
        self._told()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take back what is lent before the collections are closed."""
        await anyio.to_thread.run_sync(self._lending.close)
        await super().shutdown(sockets=sockets)
        if self.force_exit:  # uvicorn leaves the application as it is then, and its cancellation would be an error
            await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at the first signal; wait for no answer after a second. Unlike uvicorn, do not raise them again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of requests that are cancelled as the server ends: that is no error of theirs."""

    def told(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))

    log = logging.getLogger("uvicorn.error")
    log.addFilter(told)
    try:
        yield
    finally:
        log.removeFilter(told)


def _listening(config: ServeConfig) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Where the protocol is not named, asyncio leaves Nagle's algorithm on: each answer took 40 ms more.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise CbirError(
            f"cannot listen at {config.host}:{config.port} ({error.strerror or error}); choose another with --port, "
            "0 for a free one"
        ) from error
    listening.listen(128)
    return listening


def _address(config: ServeConfig, listening: socket.socket) -> str:
    """Return the page's address; with a token, which a browser keeps as a cookie, so that who starts it is let in.

    Not with the one for writing: other users see with what a browser was started.
    """
    host = f"[{config.host}]" if ":" in config.host else config.host
    query = "" if config.token is None else f"?token={quote(config.token, safe='')}"
    return f"http://{host}:{listening.getsockname()[1]}/{query}"
