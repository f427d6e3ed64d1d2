"""What collections hold more than once, looked for in the background: one collection at a time.

In: a searcher. Out: a `Looked`, how far that is, or what was found. It is kept until the collection changes; the
search ends with the server.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError
from cbir.serve.gate import BusyError

if TYPE_CHECKING:
    from cbir.search.duplicates.result import Duplicates
    from cbir.search.searcher import Searcher


@dataclass(frozen=True)
class Looked:
    """How far a search for duplicates is.

    Attributes
    ----------
    stage : str
        What is being done, as `find_duplicates` names it; empty: nothing.
    done : int
    total : int or None
    found : Duplicates or None
        What was found, once it is done.
    problem : str or None
        Why it could not be done.
    """

    stage: str = ""
    done: int = 0
    total: int | None = None
    found: Duplicates | None = None
    problem: str | None = None


class Duplicated:
    """Duplicates by collection; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked: dict[str, tuple[object, Looked]] = {}
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._running: str | None = None

    def of(self, searcher: Searcher) -> Looked:
        """Return what is known of a collection as it is now."""
        with self._lock:
            return self._known(searcher)

    def begin(self, searcher: Searcher) -> Looked:
        """Begin to look, unless that is done or under way; BusyError while another collection is looked through."""
        with self._lock:
            known = self._known(searcher)
            if known.stage or known.found is not None or self._closed.is_set():
                return known
            if self._running is not None:
                raise BusyError(f"'{self._running}' is being looked through for duplicates; wait until that is done")
            self._running = searcher.name
            stamp = _stamp(searcher)
            self._looked[searcher.name] = stamp, Looked("load")
            self._thread = threading.Thread(target=self._look, args=(searcher, stamp), daemon=True)
            self._thread.start()
            return self._known(searcher)

    def close(self) -> None:
        """End the search."""
        with self._lock:
            self._closed.set()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _known(self, searcher: Searcher) -> Looked:
        stamp, looked = self._looked.get(searcher.name, (None, Looked()))
        return looked if stamp == _stamp(searcher) else Looked()

    def _look(self, searcher: Searcher, stamp: object) -> None:
        from cbir.search.duplicates.find import find_duplicates

        def told(stage: str, done: int, total: int | None, note: str = "") -> None:  # noqa: ARG001 - a Progress
            if self._closed.is_set():
                raise CbirError("the server ends")
            with self._lock:
                self._looked[searcher.name] = stamp, Looked(stage, done, total)

        try:
            looked = Looked(found=find_duplicates(searcher, progress=told))
        except Exception as error:  # noqa: BLE001 - told to those who wait for it
            looked = Looked(problem=str(error) or type(error).__name__)
        with self._lock:
            self._looked[searcher.name] = stamp, looked
            self._running = None


def _stamp(searcher: Searcher) -> object:
    return searcher.metadata.fingerprint, searcher.metadata.created, searcher.metadata.updated
