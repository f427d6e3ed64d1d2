"""While workers wait for a server that is away, the driver says so."""

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.points import ServedCollection
from cbir.collection.served.server import Server
from cbir.core.errors import CbirError, CbirWarning
from cbir.ingest.distributed.waiting import watched
from tests.collection.sample import METADATA
from tests.qdrant import QdrantProcess


def test_a_server_that_is_away_is_told_of_by_the_driver_and_asked_once_each_time(
    own_qdrant: QdrantProcess, tmp_path: Path
):
    engine = ServedEngine(Server(address(own_qdrant.url), retry_for=60), tmp_path / "locks")
    told, said = threading.Event(), list[str]()

    def results(collection: ServedCollection) -> Iterator[int]:
        yield 1
        own_qdrant.kill()
        assert told.wait(20)
        restart = threading.Timer(1, own_qdrant.start)
        restart.start()
        assert collection.count() == 0, "whatever was asked meanwhile, the driver's own calls are as patient as ever"
        restart.join()
        yield 2

    def heard(message: Warning | str, *_: object, **__: object) -> None:
        said.append(str(message))
        told.set()

    with closing(engine), closing(engine.create("c", METADATA)) as collection, warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = heard  # type: ignore[assignment]
        assert list(watched(results(collection), collection.ask_once, 0.2)) == [1, 2]
    assert [each for each in said if "workers" in each] == [said[0]]
    assert "no Qdrant server can be reached" in said[0]
    assert said[0].endswith("; the workers wait for it")


def test_it_is_said_once_for_each_time_that_the_server_is_away():
    answers = iter([None, CbirError("away"), CbirError("away"), None, CbirError("away again")])
    ended = threading.Event()

    def ask() -> None:
        answer = next(answers, ended)
        if answer is ended:
            ended.set()
        elif isinstance(answer, CbirError):
            raise answer

    with pytest.warns(CbirWarning, match="the workers wait for it") as said:
        assert list(watched((ended.wait(20) for _ in range(1)), ask, 0.01)) == [True]
    assert [str(each.message) for each in said] == [
        "away; the workers wait for it",
        "away again; the workers wait for it",
    ]


def test_who_uses_a_result_for_long_makes_nobody_ask():
    asked: list[int] = []
    for _ in watched(range(3), lambda: asked.append(1), 0.05):
        time.sleep(0.2)
    assert not asked
