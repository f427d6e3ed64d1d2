"""What the server counts and times, for Prometheus: requests, encoding and searching apart, queues and batches.

In: what happens. Out: the text that `GET /metrics` answers. Each application has a registry of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cbir.serve.gate import Gate

CONTENT_TYPE = CONTENT_TYPE_LATEST

#: Seconds: a search of digits takes 2 ms, a photograph's network 50, a map minutes.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
#: What somebody asked for that is not there, or that the guard refused before it was looked up.
_NO_ROUTE = "(none)"


class Metrics:
    """Counters of one application.

    Parameters
    ----------
    gate : Gate
        Whose queue is told.
    """

    def __init__(self, gate: Gate) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "cbir_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "cbir_request_seconds",
            "From a request's first byte to its answer's last.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._encoding = Histogram(
            "cbir_encoding_seconds", "Of the encoder, for a batch.", buckets=_SECONDS, registry=registry
        )
        self._batch = Histogram(
            "cbir_encoding_pictures", "Pictures in a batch.", buckets=(1, 2, 4, 8, 16, 32), registry=registry
        )
        self._searching = Histogram(
            "cbir_search_seconds", "Of Qdrant, and of what re-ranks.", buckets=_SECONDS, registry=registry
        )
        for name, about, value in (
            ("cbir_requests_working", "Requests in work.", lambda: gate.working),
            ("cbir_requests_waiting", "Requests that wait for others.", lambda: gate.waiting),
        ):
            Gauge(name, about, registry=registry).set_function(value)
        ProcessCollector(registry=registry)

    def text(self) -> bytes:
        """Return all in Prometheus's format, of type `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def encoded(self, pictures: int, seconds: float) -> None:
        """Count a batch."""
        self._encoding.observe(seconds)
        self._batch.observe(pictures)

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Time a search."""
        with self._searching.time():
            yield


class Measured:
    """ASGI middleware that counts requests by the route that answers them, never by their path: a path may be any."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 499, time.perf_counter()  # as nginx says that the client went away

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            status = 500
            raise
        finally:
            route = getattr(scope.get("route"), "path", _NO_ROUTE)
            self._metrics.answered(scope["method"], route, status, time.perf_counter() - began)
