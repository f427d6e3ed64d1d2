"""A collection that another process holds is borrowed: over a socket that is its user's alone."""

import io
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from cbir.collection.embedded import building
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.collection.lent import lender, line, place
from cbir.collection.lent.asking import let_go
from cbir.collection.lent.borrowed import BorrowedCollection
from cbir.collection.lent.lender import lending
from cbir.collection.lent.line import LenderGoneError
from cbir.collection.lent.messages import GoneError, Wire
from cbir.core.errors import CbirWarning
from cbir.search.shared import SharedCollection
from tests.collection.lent import Holder, lent
from tests.collection.sample import METADATA, fill, ids

VECTORS = np.arange(40, dtype=np.float32).reshape(10, 4)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Python has no such sockets there")


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    """A folder with a collection of ten points."""
    engine = EmbeddedEngine(tmp_path / "collections", timeout=0)
    with closing(engine.create("points", METADATA)) as points:
        fill(points, VECTORS)
    return engine.folder


@pytest.fixture
def holder(collections: Path) -> Iterator[Holder]:
    with lent(collections) as holder:
        yield holder


@pytest.fixture
def engine(holder: Holder) -> EmbeddedEngine:
    return EmbeddedEngine(holder.collections, timeout=0)


def test_the_socket_is_its_users_alone_and_goes_with_the_lender(collections: Path):
    with lending(collections, Holder(collections)):
        folder = collections.with_name("lending")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o600
    assert not (folder / "socket").exists()
    with closing(EmbeddedEngine(collections).open("points")) as opened:
        assert isinstance(opened, EmbeddedCollection)


def test_where_the_path_is_too_long_for_a_socket_a_file_names_another(tmp_path: Path):
    collections = tmp_path / ("a" * 100) / "collections"
    engine = EmbeddedEngine(collections)
    engine.create("points", METADATA).close()
    with lent(collections):
        elsewhere = Path((collections.with_name("lending") / "elsewhere").read_text())
        assert stat.S_IMODE(elsewhere.parent.stat().st_mode) == 0o700
        with closing(engine.open("points")) as opened:
            assert isinstance(opened, BorrowedCollection)
    assert not elsewhere.parent.exists()


def test_one_process_lends_and_a_second_says_that_it_does_not(
    collections: Path, holder: Holder, caplog: pytest.LogCaptureFixture
):
    with lending(collections, holder) as lends:
        assert not lends
    assert "another cbir serve runs on this home" in caplog.text
    with closing(EmbeddedEngine(collections).open("points")) as opened:
        assert isinstance(opened, BorrowedCollection)


def test_a_lender_waits_for_whoever_sweeps_its_folder(collections: Path):
    folder = collections.with_name("lending")
    folder.mkdir()
    swept = threading.Event()

    def sweep() -> None:
        with place._locked(folder) as alone:
            assert alone
            swept.set()
            time.sleep(0.1)

    thread = threading.Thread(target=sweep)
    thread.start()
    assert swept.wait(10)
    with lending(collections, Holder(collections)) as lends:
        assert lends
    thread.join()


def test_what_a_killed_lender_left_is_swept_by_who_finds_it(collections: Path):
    code = """
import sys, time
from pathlib import Path
from cbir.collection.lent.lender import lending
from tests.collection.lent import Holder
with lending(Path(sys.argv[1]), Holder(Path(sys.argv[1]))):
    print("lent", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code, str(collections)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "lent\n"
        with closing(EmbeddedEngine(collections).open("points")) as opened:
            assert isinstance(opened, BorrowedCollection)
            process.kill()
            process.wait()
            with pytest.raises(LenderGoneError, match="Nothing stored is lost"):
                opened.count()
    assert (collections.with_name("lending") / "socket").exists()
    with closing(EmbeddedEngine(collections, timeout=0).open("points")) as opened:
        assert isinstance(opened, EmbeddedCollection)
        assert opened.count() == 10
    assert not (collections.with_name("lending") / "socket").exists()


def test_another_users_process_is_neither_lent_to_nor_borrowed_from(
    collections: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lender, "is_same_user", lambda _: False)
    with pytest.raises(CollectionBusyError, match="does not answer"):
        EmbeddedEngine(collections, timeout=0).open("points")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert place.connected(collections) is None


def test_a_lender_of_another_version_is_said_to_be(collections: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lender, "FORMAT", 2)
    with lent(collections), pytest.raises(CollectionError, match="another version"):
        EmbeddedEngine(collections, timeout=0).open("points")


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\0\0\0\2[]",
        b'\0\0\0\x0e{"parts":[-1]}',
        b'\0\0\0\x0d{"parts": []}',
        b'\0\0\0\x1d{"do": "upsert", "parts": []}',
        b'\0\0\0\x24{"do": "encode", "x": 1, "parts":[]}',
    ],
)
def test_who_says_nonsense_is_sent_away_and_the_others_are_served(engine: EmbeddedEngine, said: bytes):
    with closing(engine.open("points")) as opened:
        connection = place.connected(engine.folder)
        assert connection is not None
        with closing(connection):
            connection.settimeout(10)
            wire = Wire(connection)
            assert wire.receive()[0] == {"format": 1, "collections": str(engine.folder)}
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            with suppress(GoneError):
                assert "error" in wire.receive()[0]
        assert opened.count() == 10


def test_a_pickle_is_no_array(engine: EmbeddedEngine):
    connection = place.connected(engine.folder)
    assert connection is not None
    with closing(Wire(connection)) as wire:
        wire.receive()
        wire.send({"do": "open", "name": "points"})
        assert wire.receive()[0]["answer"]["dimension"] == 4
        part = io.BytesIO()
        np.save(part, np.array([[object()]], object))
        wire.send({"do": "upsert", "ids": ids(1), "payloads": [{}]}, [part.getvalue()])
        with pytest.raises(GoneError):
            wire.receive()


def test_borrowers_work_at_the_same_time_on_the_same_points(engine: EmbeddedEngine):
    with closing(engine.open("points")) as one, closing(engine.open("points")) as other:
        pages = one.scroll(page=3)
        first = next(pages)
        other.upsert(ids(12)[10:], VECTORS[:2], [{"uri": "new"}, {"uri": "new"}])
        assert other.count(where={"uri": ["new"]}) == 2
        assert one.count() == 12
        assert len(first.ids) + sum(len(page.ids) for page in pages) >= 10


def test_a_scroll_that_the_garbage_collector_ends_in_the_middle_of_a_call_does_not_wait_for_it(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    with closing(engine.open("points")) as opened:
        assert isinstance(opened, BorrowedCollection)
        pages = [opened.scroll(page=3)]
        next(pages[0])
        line, counted = opened._line, []
        send = line._wire.send
        with monkeypatch.context() as patch:
            patch.setattr(line._wire, "send", lambda *said: (pages.clear(), send(*said)))
            thread = threading.Thread(target=lambda: counted.append(opened.count()), daemon=True)
            thread.start()
            thread.join(20)
        assert counted == [10]
        assert opened.count() == 10
        assert line.ask("next", scroll=1)[0] is None  # the lender keeps it no longer


def test_a_collection_that_is_replaced_or_removed_is_let_go_of(engine: EmbeddedEngine, holder: Holder):
    with engine.replacement("points", METADATA) as other:
        fill(other, VECTORS[:3])
    assert holder.gone == ["points"]
    assert len(list((engine.folder / "points").glob("shard-*"))) == 1
    with closing(engine.open("points")) as opened:
        assert opened.count() == 3
    engine.delete("points")
    assert holder.gone == ["points", "points"]
    assert not engine.exists("points")


def test_what_others_have_borrowed_is_not_removed(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lender, "_PATIENCE", 0.1)
    with closing(engine.open("points")) as opened:
        with pytest.raises(CollectionBusyError, match="in use by another command"):
            engine.delete("points")
        assert opened.count() == 10


def test_while_it_is_let_go_of_nobody_borrows_it(engine: EmbeddedEngine, holder: Holder):
    inside, done = threading.Event(), threading.Event()

    def replace() -> None:
        with let_go(engine.folder, "points"):
            inside.set()
            assert done.wait(10)

    thread = threading.Thread(target=replace)
    thread.start()
    assert inside.wait(10)
    with pytest.raises(CollectionBusyError, match="being replaced or removed"):
        engine.open("points")
    done.set()
    thread.join()
    EmbeddedEngine(engine.folder, timeout=5).open("points").close()
    assert holder.gone == ["points"]


def test_a_new_collection_is_lent_from_the_start(engine: EmbeddedEngine):
    with closing(engine.create("new", METADATA)) as new:
        fill(new, VECTORS)
        with closing(engine.open("new")) as opened:
            assert opened.count() == 10


def test_nobody_changes_what_is_archived(engine: EmbeddedEngine, tmp_path: Path):
    with EmbeddedEngine(engine.folder).writing("points"), pytest.raises(CollectionBusyError, match="is filling"):
        engine.snapshot("points", tmp_path / "points.zip")
    engine.snapshot("points", tmp_path / "points.zip")


def test_pixels_are_encoded_where_the_encoder_is_loaded(engine: EmbeddedEngine):
    pixels = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28, 1)
    features = engine.encode("points", METADATA.fingerprint, pixels)
    assert features is not None
    assert features.tolist() == pixels.reshape(2, -1)[:, :4].tolist()
    assert engine.encode("other", METADATA.fingerprint, pixels) is None


def test_words_are_encoded_where_the_encoder_is_loaded_and_what_is_said_of_them_is_told(engine: EmbeddedEngine):
    with pytest.warns(CbirWarning, match="^a long text$"):
        features = engine.encode_words("points", METADATA.fingerprint, ["red", "a long text"])
    assert features is not None
    assert features.tolist() == [[3] * 4, [11] * 4]
    assert engine.encode_words("other", METADATA.fingerprint, ["red"]) is None


def test_an_interrupted_call_leaves_the_others_their_answers(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    with closing(engine.open("points")) as opened:
        receive = Wire.receive

        def interrupted(_: Wire) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Wire, "receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                opened.payloads(ids(1))
        assert Wire.receive is receive
        assert opened.count() == 10


def endless(shard: Path, built: Path) -> None:
    time.sleep(1000)


def test_an_index_that_nobody_waits_for_any_more_is_not_built(
    collections: Path, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(building, "_build", endless)
    opened, other = engine.open("points"), engine.open("points")
    failures: list[CollectionError] = []

    def build() -> None:
        try:
            opened.build_index()
        except CollectionError as error:
            failures.append(error)

    thread = threading.Thread(target=build, daemon=True)
    thread.start()
    until_shards(collections / "points", 2)
    opened.close()
    until_shards(collections / "points", 1)
    thread.join(10)
    with closing(other):
        assert (other.count(), len(failures)) == (10, 1)


def until_shards(folder: Path, count: int) -> None:
    """Wait until a collection has so many shards: one more while an index is built."""
    deadline = time.monotonic() + 20
    while len(list(folder.glob("shard-*"))) != count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_message_that_was_sent_in_part_is_the_last(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    with closing(engine.open("points")) as opened:
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "sendall", interrupted_send)
            with pytest.raises(KeyboardInterrupt):
                opened.upsert(ids(1), VECTORS[:1], [{"uri": "x"}])
        with pytest.raises(LenderGoneError):
            opened.upsert(ids(1), VECTORS[:1], [{"uri": "y"}])
    with closing(EmbeddedEngine(engine.folder, timeout=5).open("points")) as opened:
        assert opened.count(where={"uri": ["x", "y"]}) == 0


def interrupted_send(self: socket.socket, data: bytes) -> None:
    self.send(data[:-1])
    raise KeyboardInterrupt


def test_a_searcher_whose_lender_has_ended_opens_the_collection_again(collections: Path):
    engine = EmbeddedEngine(collections, timeout=0)
    shared = SharedCollection("points", lambda: engine.open("points"), engine.close)
    with lent(collections), shared.used() as borrowed:
        assert isinstance(borrowed, BorrowedCollection)
    with pytest.raises(LenderGoneError), shared.used() as borrowed:
        borrowed.count()
    with shared.used() as opened:
        assert isinstance(opened, EmbeddedCollection)
        assert opened.count() == 10
    shared.release()


def test_where_there_are_no_more_threads_a_borrower_is_told_and_the_next_is_served(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(line, "_ROOM", 0)

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        with pytest.raises(CollectionBusyError, match="too many commands"):
            engine.open("points")
    with closing(engine.open("points")) as opened:
        assert opened.count() == 10


def test_where_there_are_no_more_descriptors_the_lender_waits_for_some(collections: Path):
    code = """
import os, resource, sys, time
from pathlib import Path
from cbir.collection.lent.lender import lending
from tests.collection.lent import Holder

with lending(Path(sys.argv[1]), Holder(Path(sys.argv[1]))):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/dev/fd"))), hard))
    print("full", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    time.sleep(1)
    print(time.process_time() - began, flush=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(collections)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "full\n"
        connection = place.connected(collections)
        assert connection is not None
        with closing(connection):
            process.stdin.write("\n")
            process.stdin.flush()
            assert float(process.stdout.readline()) < 0.5
            connection.settimeout(20)
            assert Wire(connection).receive()[0]["collections"] == str(collections)
