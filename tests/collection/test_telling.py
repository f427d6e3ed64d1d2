"""An ingest tells of itself beside its work, and goes on the same where nobody listens."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cbir.collection.errors import CollectionError
from cbir.collection.lent import place
from cbir.collection.lent import telling as telling_module
from cbir.collection.lent.place import listening
from cbir.collection.lent.telling import telling
from cbir.core.progress import silent
from tests.collection.lent import Holder, lent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Python has no such sockets there")


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    folder = tmp_path / "collections"
    folder.mkdir()
    return folder


def worked(collections: Path, *, meanwhile: Callable[[], object] = int) -> tuple[list[object], float]:
    """Work a little; return what its own progress function was called with, and how long the end took."""
    calls: list[object] = []
    with telling(collections, "points") as told:
        report = told.along(lambda *call: calls.append(call))
        report("read", 1, None)
        report("encode", 3, 40, "fast")
        meanwhile()
        told.finished(37)
        began = time.monotonic()
    return calls, time.monotonic() - began


def test_what_was_said_last_is_told_and_the_end(collections: Path):
    with lent(collections) as holder:

        def wait() -> None:
            end = time.monotonic() + 10
            while not any(said.get("stage") == "encode" for said in holder.heard):
                assert time.monotonic() < end
                time.sleep(0.01)

        calls, _ = worked(collections, meanwhile=wait)
        assert calls == [("read", 1, None, ""), ("encode", 3, 40, "fast")]
        *_, before, last = holder.heard
        assert (before["name"], before["stage"], before["count"], before["total"]) == ("points", "encode", 3, 40)
        assert (last["name"], last["new"]) == ("points", 37)


def test_a_server_that_takes_no_such_messages_is_left_alone(collections: Path, monkeypatch: pytest.MonkeyPatch):
    tried = threading.Event()

    @contextmanager
    def refusing(self: Holder) -> Iterator[Callable[[dict[str, Any]], None]]:
        tried.set()
        raise CollectionError("'tell' is asked of no collection")
        yield

    monkeypatch.setattr(Holder, "hearing", refusing)
    with lent(collections) as holder:
        calls, _ = worked(collections, meanwhile=lambda: tried.wait(10))
        assert tried.is_set()
        assert len(calls) == 2
        assert not holder.heard


def test_a_server_that_ends_and_comes_again_hears_of_it_again(collections: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(telling_module, "_AGAIN", 0.05)
    monkeypatch.setattr(telling_module, "_EVERY", 0.05)
    with telling(collections, "points") as told:
        report = told.along(silent)
        for count in (1, 2):
            with lent(collections) as holder:
                report("read", count, None)
                end = time.monotonic() + 10
                while not any(said.get("count") == count for said in holder.heard):
                    assert time.monotonic() < end
                    time.sleep(0.01)


def test_a_server_that_does_not_answer_is_not_waited_for(collections: Path, monkeypatch: pytest.MonkeyPatch):
    with listening(collections) as listener:
        assert listener is not None
        monkeypatch.setattr(place, "_own", set())
        calls, took = worked(collections)
    assert len(calls) == 2
    assert took < 5


def test_without_a_server_nothing_is_told(collections: Path):
    calls, took = worked(collections)
    assert len(calls) == 2
    assert took < 1
