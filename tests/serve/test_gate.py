"""What takes long holds nobody else up, and too much at once is refused at once."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cbir.collection.embedded.points import EmbeddedCollection
from cbir.serve.gate import BusyError, Gate
from tests.serve.conftest import made_app

ADDRESS = "http://127.0.0.1:8000"
SEARCH = "/api/collections/digits/search"
POINTS = "/api/collections/digits"
QUERY: dict[str, Any] = {"vector": [0.0] * 128, "k": 1}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Searches of Qdrant wait until this is called."""
    may, search = threading.Event(), EmbeddedCollection.search_batch

    def waits(*args: Any, **kwargs: Any) -> Any:
        assert may.wait(30)
        return search(*args, **kwargs)

    monkeypatch.setattr(EmbeddedCollection, "search_batch", waits)
    return may.set


@asynccontextmanager
async def asking(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS) as client,
    ):
        yield client


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.002)


def test_slow_searches_hold_up_nobody_who_asks_how_the_server_is(digits: Path, slow: Callable[[], None]):
    async def all_of_it() -> None:
        app = made_app(workers=2, waiting=3)
        async with asking(app) as client:
            gate = app.state.cbir.gate
            searches = [asyncio.create_task(client.post(SEARCH, json=QUERY)) for _ in range(5)]
            await until(lambda: (gate.working, gate.waiting) == (2, 3))
            began = time.perf_counter()
            assert (await client.get("/healthz")).json()["status"] == "ok"
            metrics = (await client.get("/metrics")).text
            assert time.perf_counter() - began < 5
            assert "\ncbir_requests_working 2.0\n" in metrics
            assert "\ncbir_requests_waiting 3.0\n" in metrics
            refused = await client.post(SEARCH, json=QUERY)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.headers["content-type"] == "application/problem+json"
            slow()
            assert [(await each).status_code for each in searches] == [200] * 5
            assert (await client.post(SEARCH, json=QUERY)).status_code == 200
            assert gate.inside == 0

    asyncio.run(all_of_it())


def test_whoever_goes_away_leaves_no_place_taken(digits: Path, slow: Callable[[], None]):
    async def all_of_it() -> None:
        app = made_app(workers=1, waiting=1)
        async with asking(app) as client:
            gate = app.state.cbir.gate
            gone = [asyncio.create_task(client.post(SEARCH, json=QUERY)) for _ in range(2)]
            await until(lambda: gate.inside == 2)
            gone[1].cancel()  # it only waited: its place is free at once
            await until(lambda: gate.inside == 1)
            gone[0].cancel()  # what a thread has begun, it ends
            slow()
            await until(lambda: gate.inside == 0)
            assert (await client.post(SEARCH, json=QUERY)).status_code == 200

    asyncio.run(all_of_it())


def test_a_gate_hands_on_answers_and_errors():
    async def all_of_it() -> None:
        gate = Gate(1, 0)
        assert await gate.run(max, 1, 2) == 2
        with pytest.raises(ZeroDivisionError):
            await gate.run(lambda: 1 // 0)
        may = threading.Event()
        working: Awaitable[bool] = asyncio.create_task(gate.run(may.wait, 20))
        await until(lambda: gate.inside == 1)
        with pytest.raises(BusyError):
            await gate.run(max, 1, 2)
        may.set()
        assert await working

    asyncio.run(all_of_it())
