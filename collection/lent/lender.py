"""Lends what this process holds to other processes of the same user, each in a thread of its own.

In: what opens a collection, lets go of one, and encodes. Out: answers over a socket, to what
`cbir.collection.lent.borrowed` asks.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.collection.interface import Collection
from cbir.collection.lent.messages import FORMAT, GoneError, Wire, packed, unpacked
from cbir.collection.lent.place import is_same_user, listening
from cbir.collection.lent.session import Answer, Session
from cbir.collection.lent.values import error_to_json
from cbir.core.progress import silent

#: Borrowers at once; beyond these, who connects is told to come again.
_MOST = 64
#: Seconds in which others give a collection back that is to be let go of, or end what they asked last.
_PATIENCE = 5.0
#: Seconds in which a borrower says what it wants; who only holds a connection takes it from others.
_SILENCE = 10.0
#: Seconds until a connection is accepted after one could not be.
_PAUSE = 0.05
#: Seconds until it is noticed that a borrower has gone.
_MOMENT = 0.5

_log = logging.getLogger(__name__)


class Keeper(Protocol):
    """Who holds the collections of this process."""

    def open(self, name: str) -> Collection:
        """Return a collection, to be closed by whoever asked; CollectionError if it cannot be opened."""
        ...

    def let_go(self, name: str) -> AbstractContextManager[None]:
        """Close a collection, and leave it closed while the block runs."""
        ...

    def search(
        self, name: str, arguments: list[str], typed: dict[str, str], options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Search for what was typed elsewhere; JSON values, whose meaning is the asker's and the keeper's."""
        ...

    def hearing(self) -> AbstractContextManager[Callable[[dict[str, Any]], None]]:
        """Yield what takes the messages of an ingest, for as long as its connection lasts; errors are its own."""
        ...

    def encode(self, name: str, fingerprint: str, pixels: np.ndarray) -> np.ndarray:
        """Encode with a collection's encoder; CbirError if it has another fingerprint, or cannot be loaded."""
        ...

    def encode_words(self, name: str, fingerprint: str, texts: list[str]) -> tuple[np.ndarray, list[str]]:
        """Encode texts as `encode` does pixels, and return what was warned of; CbirError if it understands none."""
        ...


class Lender:
    """Answers borrowers until it is closed.

    Parameters
    ----------
    listener : socket
        Of `cbir.collection.lent.place.listening`.
    collections : Path
        The folder of collections.
    keeper : Keeper
    """

    def __init__(self, listener: socket.socket, collections: Path, keeper: Keeper) -> None:
        self._listener = listener
        self._collections = os.path.realpath(collections)
        self._keeper = keeper
        #: Held to borrow, to give back and to let go.
        self._changes = threading.Condition()
        self._borrowed: Counter[str] = Counter()
        self._away: set[str] = set()
        self._wires: set[Wire] = set()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="cbir-lender", daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Send all borrowers away once what they asked last is done or, of an index, ended.

        If that takes too long, its thread ends with the process, and nothing stored is lost.
        """
        with self._changes:
            self._closed = True
            wires = list(self._wires)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in wires:
            wire.end()
        self._accepting.join()
        until = time.monotonic() + _PATIENCE
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closed or self._listener.fileno() < 0:
                    return
                time.sleep(_PAUSE)  # the other end was gone already, or there are too many open files just now
                continue
            self._welcome(Wire(connection), ours=is_same_user(connection))

    def _welcome(self, wire: Wire, *, ours: bool) -> None:
        """Attend to a borrower in a thread of its own; one of too many is told so, another user's is not spoken to."""
        with self._changes:
            room = len(self._wires) < _MOST
            welcome = ours and room and not self._closed
            if welcome:
                self._wires.add(wire)
        if welcome:
            thread = threading.Thread(target=self._attend, args=(wire,), name="cbir-lending", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system gives no more threads just now
                room = False
                with self._changes:
                    self._wires.discard(wire)
            else:
                self._threads = [each for each in self._threads if each.is_alive()] + [thread]
                return
        if ours and not room:
            with contextlib.suppress(GoneError):
                wire.send({"format": FORMAT, "collections": self._collections, "full": True})
        wire.close()

    def _attend(self, wire: Wire) -> None:
        try:
            with _Borrower(self, wire) as borrower:
                wire.patience(_SILENCE)
                wire.send({"format": FORMAT, "collections": self._collections})
                while not borrower.finished:
                    borrower.serve()
        except GoneError:
            pass
        except Exception:  # noqa: BLE001 - logged; the others go on
            _log.exception("a borrower was sent away")
        finally:
            with self._changes:
                self._wires.discard(wire)
            wire.close()

    @contextlib.contextmanager
    def lent(self, name: str) -> Iterator[Collection]:
        """Yield a collection to one borrower; CollectionBusyError if it has to be let go of just now."""
        with self._changes:
            if not self._back(name):
                raise CollectionBusyError(f"collection '{name}' is being replaced or removed; try again in a moment")
            self._borrowed[name] += 1
        try:
            collection = self._keeper.open(name)
            try:
                yield collection
            finally:
                collection.close()
        finally:
            with self._changes:
                self._borrowed[name] -= 1
                self._changes.notify_all()

    @contextlib.contextmanager
    def let_go(self, name: str) -> Iterator[None]:
        """Let go of a collection while the block runs; CollectionBusyError if somebody does not give it back."""
        with self._changes:
            if not self._back(name):
                raise CollectionBusyError(f"collection '{name}' is being replaced or removed by another command")
            self._away.add(name)
        try:
            with self._changes:
                if not self._changes.wait_for(lambda: not self._borrowed[name], _PATIENCE):
                    raise CollectionBusyError(
                        f"collection '{name}' is in use by another command beside cbir serve; wait until that ends"
                    )
            with self._keeper.let_go(name):
                yield
        finally:
            with self._changes:
                self._away.discard(name)
                self._changes.notify_all()

    def _back(self, name: str) -> bool:
        """Wait a moment for a collection to be back: who had it let go of may just have gone, unnoticed as yet."""
        return self._changes.wait_for(lambda: name not in self._away, _MOMENT)

    def search(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """Search for what was typed."""
        arguments, typed = list(asked["arguments"]), dict(asked["typed"])
        return self._keeper.search(str(asked["name"]), arguments, typed, dict(asked["options"]))

    def hearing(self) -> AbstractContextManager[Callable[[dict[str, Any]], None]]:
        """Hear of an ingest, while the block runs."""
        return self._keeper.hearing()

    def encode(self, asked: dict[str, Any], parts: list[bytes]) -> Answer:
        """Encode pixels."""
        features = self._keeper.encode(str(asked["name"]), str(asked["fingerprint"]), unpacked(parts[0]))
        return None, [packed(features)]

    def encode_words(self, asked: dict[str, Any]) -> Answer:
        """Encode words."""
        texts = [str(text) for text in asked["texts"]]
        features, warned = self._keeper.encode_words(str(asked["name"]), str(asked["fingerprint"]), texts)
        return warned, [packed(features)]


class _Borrower(contextlib.ExitStack):
    """One connection: what it has borrowed is given back at its end."""

    def __init__(self, lender: Lender, wire: Wire) -> None:
        super().__init__()
        self._lender = lender
        self._wire = wire
        self._session: Session | None = None
        self._hear: Callable[[dict[str, Any]], None] | None = None
        self.finished = False

    def serve(self) -> None:
        """Wait for a message and answer it; GoneError at the end."""
        asked, parts = self._wire.receive()
        self._wire.patience(None)
        try:
            answer, more = self._answer(asked, parts)
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 - the borrower's, who is told
            self._wire.send({"error": error_to_json(error)})
        else:
            self._wire.send({"answer": answer}, more)

    def _answer(self, asked: dict[str, Any], parts: list[bytes]) -> Answer:
        match asked.get("do"):
            case "open" if self._session is None:
                collection = self.enter_context(self._lender.lent(str(asked["name"])))
                self._session = Session(collection)
                return collection.metadata.to_json(), []
            case "let_go":
                self.enter_context(self._lender.let_go(str(asked["name"])))
                return None, []
            case "encode":
                return self._lender.encode(asked, parts)
            case "encode_words":
                return self._lender.encode_words(asked)
            case "tell":
                if self._hear is None:
                    self._hear = self.enter_context(self._lender.hearing())
                self._hear(asked)
                return None, []
            case "search":
                return self._lender.search(asked), []
            case "close":
                self._session, self.finished = None, True
                self.close()
                return None, []
            case "build_index" if self._session is not None:
                with self._heard(self._session):
                    return self._session.answer("build_index", asked, parts, silent)
            case what if self._session is not None:
                return self._session.answer(str(what), asked, parts, self._report if what == "verify" else silent)
            case what:
                raise CollectionError(f"'{what!s:.50}' is asked of no collection")

    @contextlib.contextmanager
    def _heard(self, session: Session) -> Iterator[None]:
        """Tell the borrower every moment that this goes on; if nobody hears it, close the collection, which ends it."""
        over = threading.Event()

        def tell() -> None:
            try:
                while not over.wait(_MOMENT):
                    self._report("index", 0, None)
            except GoneError:
                session.close()

        telling = threading.Thread(target=tell, name="cbir-telling", daemon=True)
        telling.start()
        try:
            yield
        finally:
            over.set()
            telling.join()

    def _report(self, stage: str, done: int, total: int | None, note: str = "") -> None:
        self._wire.send({"progress": [stage, done, total, note]})


@contextlib.contextmanager
def lending(collections: Path, keeper: Keeper) -> Iterator[bool]:
    """Lend what is in a folder of collections while the block runs.

    Yields
    ------
    bool
        Whether others can borrow; not if another process lends already, nor where the system has no such sockets.
    """
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(listening(collections))
        except OSError as error:
            _log.warning("commands beside this server cannot go through it: %s", error)
            listener = None
        else:
            if listener is None and sys.platform != "win32":
                _log.warning("another cbir serve runs on this home: commands go through that one, not through this")
        if listener is not None:
            stack.callback(Lender(listener, collections, keeper).close)
        yield listener is not None
