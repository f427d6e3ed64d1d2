"""Who waits for another process is told so, once, and not before a second is over."""

import threading
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import qdrant_edge as edge

from cbir.collection import lock
from cbir.collection.embedded import shards
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionBusyError
from cbir.core.errors import CbirWarning
from tests.collection.sample import METADATA

USES = {"open": lambda engine: engine.open("c").close(), "delete": lambda engine: engine.delete("c")}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedEngine:
    """One that waits, with a collection in it; a second is shorter than usual."""
    monkeypatch.setattr(lock, "_SAY_AFTER", 0.1)
    engine = EmbeddedEngine(tmp_path, timeout=0.6)
    engine.create("c", METADATA).close()
    return engine


@pytest.fixture
def elsewhere(engine: EmbeddedEngine) -> edge.EdgeShard:
    """The collection's shard, as another process has it: past ours, this process too may open it only once."""
    (folder,) = (engine.folder / "c").glob("shard-*")
    return edge.EdgeShard.load(str(folder))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("does", ["uses", "writes to"])
def test_who_waits_is_told_what_for(engine: EmbeddedEngine, elsewhere: edge.EdgeShard, use: str, does: str):
    with ExitStack() as stack:
        if does == "writes to":
            stack.enter_context(EmbeddedEngine(engine.folder).writing("c"))
        with warnings.catch_warnings(record=True) as said, pytest.raises(CollectionBusyError):
            warnings.simplefilter("always")
            USES[use](engine)
    assert [str(one.message) for one in said] == [f"waiting for another process that {does} collection 'c', up to 1 s"]
    elsewhere.close()


def test_what_another_process_is_changing_is_not_opened_in_a_worker_again_and_again(
    engine: EmbeddedEngine, elsewhere: edge.EdgeShard, monkeypatch: pytest.MonkeyPatch
):
    """Its files come and go, which looked like damage, and each try cost the start of a process."""
    (state,) = (engine.folder / "c").rglob("cbir-state.json")
    state.write_text(state.read_text().replace('"clean": true', '"clean": false'))
    monkeypatch.setattr(shards, "try_to_open", lambda *_: pytest.fail("opened in a worker"))
    with pytest.warns(CbirWarning, match="waiting for"), pytest.raises(CollectionBusyError):
        engine.open("c")
    elsewhere.close()


def test_who_fills_it_is_not_told_of_itself(engine: EmbeddedEngine, elsewhere: edge.EdgeShard):
    with (
        engine.writing("c"),
        pytest.warns(CbirWarning, match="that uses collection 'c'"),
        pytest.raises(CollectionBusyError),
    ):
        engine.open("c")
    elsewhere.close()


@pytest.mark.parametrize("use", USES)
def test_who_waits_for_a_moment_is_told_nothing(
    engine: EmbeddedEngine, elsewhere: edge.EdgeShard, monkeypatch: pytest.MonkeyPatch, use: str
):
    monkeypatch.setattr(lock, "_SAY_AFTER", 20)
    engine.timeout = 30
    closing_soon = threading.Timer(0.2, elsewhere.close)
    closing_soon.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        USES[use](engine)
    closing_soon.join()


def test_patience_ends_and_the_first_try_is_not_the_last(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    sleep: Callable[[float], None] = lambda seconds: now.__setitem__(0, now[0] + seconds)  # noqa: E731
    monkeypatch.setattr(time, "sleep", sleep)
    patience = lock.Patience(2.0, lambda: "somebody")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        while patience.wait():
            assert len(said) == (now[0] > 1.01)
    assert 2.0 < now[0] < 2.1
    assert [str(one.message) for one in said] == ["waiting for somebody, up to 2 s"]
