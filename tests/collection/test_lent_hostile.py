"""What a hostile or clumsy program at the socket can do to those who lend and to those who borrow."""

import socket
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.collection.lent import lender, line, place
from cbir.collection.lent.messages import GoneError, Wire
from cbir.collection.lent.place import listening
from tests.collection.lent import Holder
from tests.collection.test_lent import collections, engine, holder

__all__ = ["collections", "engine", "holder"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Python has no such sockets there")


def connected(collections: Path) -> Wire:
    connection = place.connected(collections)
    assert connection is not None
    connection.settimeout(20)
    wire = Wire(connection)
    assert wire.receive()[0]["format"] == 1
    return wire


def test_a_scroll_of_nothing_at_a_time_is_refused(engine: EmbeddedEngine):
    with closing(engine.open("points")) as opened:
        with pytest.raises(CollectionError, match="at least 1 point"):
            next(opened.scroll(page=0))
        assert opened.count() == 10


def test_who_connects_and_says_nothing_takes_no_place_for_long(
    holder: Holder, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lender, "_SILENCE", 0.2)
    with closing(engine.open("points")) as opened:
        with closing(connected(engine.folder)) as silent, pytest.raises(GoneError, match="closed"):
            silent.receive()
        assert opened.count() == 10  # who has asked for something may think for hours


def test_who_comes_while_as_many_borrow_as_can_waits_for_one_to_end(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lender, "_MOST", 1)
    with closing(engine.open("points")) as opened:
        ending = threading.Timer(0.2, opened.close)
        ending.start()
        with closing(engine.open("points")) as other:
            assert other.count() == 10
        ending.join()


def test_a_server_that_accepts_nobody_is_not_waited_for_for_ever(collections: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(place, "_PATIENCE", 0.2)
    monkeypatch.setattr(line, "_GREETING", 0.2)
    with listening(collections) as listener:
        assert listener is not None
        listener.listen(0)
        monkeypatch.setattr(place, "_own", set())
        with closing(place.connected(collections) or socket.socket()):
            began = time.monotonic()
            with closing(EmbeddedEngine(collections, timeout=0).open("points")) as opened:
                assert isinstance(opened, EmbeddedCollection)  # nobody had it
            assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", ["a\0b", "", "/nowhere/socket"])
def test_a_file_that_names_no_socket_is_no_lender(collections: Path, path: str):
    folder = collections.with_name("lending")
    folder.mkdir()
    (folder / "elsewhere").write_text(path)
    assert place.connected(collections) is None


def test_another_users_home_lends_nothing(collections: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refused)
    assert place.connected(collections) is None


def test_a_borrower_that_goes_in_the_middle_of_what_it_stores_has_stored_nothing(
    engine: EmbeddedEngine, collections: Path
):
    with closing(connected(collections)) as wire:
        wire.send({"do": "open", "name": "points"})
        wire.receive()
        head = (
            b'{"do": "upsert", "ids": ["00000000-0000-4000-8000-000000000001"], "payloads": [{}], "parts": [99999999]}'
        )
        wire._connection.sendall(len(head).to_bytes(4, "big") + head + bytes(50_000))
    with closing(engine.open("points")) as opened:
        assert opened.count() == 10
    engine.delete("points")  # it was given back


def test_one_of_too_many_is_told_so_after_a_while(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lender, "_MOST", 1)
    monkeypatch.setattr(line, "_ROOM", 0.1)
    with closing(engine.open("points")) as opened:
        with pytest.raises(CollectionBusyError, match="too many commands"):
            engine.open("points")
        assert opened.count() == 10
