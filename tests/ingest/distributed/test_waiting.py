"""While workers wait for a server that is away, the driver says so."""

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.late import ServerWarning
from cbir.collection.served.server import Server
from cbir.ingest.distributed.waiting import watched
from tests.collection.sample import METADATA
from tests.qdrant import QdrantProcess


def test_a_server_that_is_away_is_told_of_by_the_driver(own_qdrant: QdrantProcess, tmp_path: Path):
    engine = ServedEngine(Server(address(own_qdrant.url), retry_for=20), tmp_path / "locks")
    told = threading.Event()

    def results() -> Iterator[int]:
        yield 1
        own_qdrant.kill()
        assert told.wait(20), "the workers wait"
        yield 2

    def heard(message: Warning | str, *_: object, **__: object) -> None:
        assert isinstance(message, ServerWarning)
        if "retrying for 20 s" in str(message):
            told.set()

    with closing(engine), closing(engine.create("c", METADATA)) as collection, warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = heard  # type: ignore[assignment]
        assert list(watched(results(), collection.count, 0.2)) == [1, 2]
        engine.server.interrupt()


def test_who_uses_a_result_for_long_makes_nobody_ask():
    asked: list[int] = []
    for _ in watched(range(3), lambda: asked.append(1), 0.05):
        time.sleep(0.2)
    assert not asked
