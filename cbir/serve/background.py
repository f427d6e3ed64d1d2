"""What takes minutes is done in the background: what is made of a collection, how far that is, and why it failed.

In: a function of a searcher. Out: a `Work`, which is kept until the collection changes. The collection stays open
meanwhile; whoever closes it, or ends the server, ends the work at its next report of progress. A collection that
changes while it is worked on is worked on again only once that has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from cbir.core.errors import CbirError
from cbir.serve.gate import BusyError

if TYPE_CHECKING:
    from cbir.core.progress import Progress
    from cbir.search.searcher import Searcher

T = TypeVar("T")


@dataclass(frozen=True)
class Work(Generic[T]):
    """How far something is.

    Attributes
    ----------
    stage : str
        What is being done, as a `Progress` names it; empty: nothing.
    done : int
    total : int or None
    result : object or None
        What was made, once it is done.
    problem : str or None
        Why it could not be done.
    """

    stage: str = ""
    done: int = 0
    total: int | None = None
    result: T | None = None
    problem: str | None = None


class Background(Generic[T]):
    """Work of one kind, by collection; threads share it.

    Parameters
    ----------
    function : callable
        Does it, given a searcher and a `Progress`.
    first : str
        The stage that is told until the function reports one.
    alone : str, optional
        What is said to be done with a collection while work on another is refused, as one at a time is done; by
        default any number are.
    """

    def __init__(self, function: Callable[[Searcher, Progress], T], first: str, *, alone: str | None = None) -> None:
        self._function = function
        self._first = first
        self._alone = alone
        self._lock = threading.Lock()
        self._works: dict[str, tuple[object, Work[T]]] = {}
        self._threads: dict[threading.Thread, str] = {}
        self._closed = threading.Event()

    def of(self, searcher: Searcher) -> Work[T]:
        """Return what is known of a collection as it is now, or how far work on it is that began before it changed."""
        with self._lock:
            return self._known(searcher)

    def begin(self, searcher: Searcher, total: int | None = None) -> Work[T]:
        """Begin, unless that is done or under way; BusyError while another collection is worked on alone.

        Parameters
        ----------
        searcher : Searcher
        total : int, optional
            Steps of the first stage, where that is known.
        """
        with self._lock:
            known = self._known(searcher)
            if known.stage or known.result is not None or self._closed.is_set():
                return known
            if self._alone is not None and self._threads:
                raise BusyError(f"'{next(iter(self._threads.values()))}' {self._alone}; wait until that is done")
            begun = Work[T](self._first, total=total)
            self._works[searcher.name] = stamp_of(searcher), begun
            thread = threading.Thread(target=self._run, args=(searcher,), daemon=True)
            self._threads[thread] = searcher.name
            thread.start()
            return begun

    def forget(self, searcher: Searcher) -> None:
        """Forget what was made of a collection, which is no longer so."""
        with self._lock:
            work = self._works.pop(searcher.name, (None, Work[T]()))[1]
            if work.stage:  # what is being made will be of no use either
                self._works[searcher.name] = None, work

    def close(self) -> None:
        """End all work."""
        with self._lock:
            self._closed.set()
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _known(self, searcher: Searcher) -> Work[T]:
        stamp, work = self._works.get(searcher.name, (None, Work[T]()))
        return work if work.stage or stamp == stamp_of(searcher) else Work()

    def _run(self, searcher: Searcher) -> None:
        def told(stage: str, done: int, total: int | None, note: str = "") -> None:  # noqa: ARG001 - a Progress
            if self._closed.is_set():
                raise CbirError("the server ends")
            if searcher.closed:
                raise CbirError(f"collection '{searcher.name}' was replaced or removed meanwhile")
            with self._lock:
                self._works[searcher.name] = self._works[searcher.name][0], Work(stage, done, total)

        try:
            with searcher.used():
                work = Work(result=self._function(searcher, told))
        except Exception as error:  # noqa: BLE001 - told to those who wait for it
            work = Work(problem=str(error) or type(error).__name__)
        with self._lock:
            if searcher.closed:  # the next searcher of that name, which may be of the same collection, begins anew
                del self._works[searcher.name]
            else:
                self._works[searcher.name] = self._works[searcher.name][0], work
            del self._threads[threading.current_thread()]


def stamp_of(searcher: Searcher) -> object:
    """Return what tells a collection from the same one after a change."""
    return searcher.metadata.fingerprint, searcher.metadata.created, searcher.metadata.updated
