"""An ingest tells the process that lends collections how far it is, so that this can show it.

In: calls of a progress function. Out: messages to `cbir.collection.lent.lender`, now and then, from a thread of their
own: the ingest waits for none of them, and goes on the same where nobody listens.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from cbir.collection.lent.line import Line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cbir.core.progress import Progress

#: Seconds between two messages; and until it is looked again for a process that lends.
_EVERY, _AGAIN = 0.3, 3.0
#: Seconds that the end of the work waits for the last message at the most.
_LAST = 1.0


class Teller:
    """Tells of an ingest until it is closed.

    Parameters
    ----------
    collections : Path
        The folder of embedded collections.
    name : str
        Of the collection that is filled.
    """

    def __init__(self, collections: Path, name: str) -> None:
        self._collections = collections
        self._name = name
        self._said: dict[str, Any] | None = None
        self._line: Line | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="cbir-telling", daemon=True)
        self._thread.start()

    def along(self, progress: Progress) -> Progress:
        """Return a progress function that reports to another one, and is told of."""

        def report(stage: str, done: int, total: int | None, note: str = "") -> None:
            self._said = {"stage": stage, "count": done, "total": total}
            progress(stage, done, total, note)

        return report

    def finished(self, new: int) -> None:
        """Say that it is done, and how many pictures are new; whoever only ends has failed."""
        self._said = {"new": new}

    def close(self) -> None:
        """Tell what was said last, and no more."""
        self._ended.set()
        self._thread.join(_LAST)

    def _tell(self) -> None:
        told: dict[str, Any] | None = None
        try:
            while True:
                ended, said = self._ended.is_set(), self._said
                if said is not None and said is not told and self._is_told(said):
                    told = said
                if ended:
                    return
                self._ended.wait(_EVERY if said is told else _AGAIN)
        finally:
            self._hang_up()

    def _is_told(self, said: dict[str, Any]) -> bool:
        # An older server, one that ends, or one that too many ask just now: the ingest is not about that.
        with suppress(Exception):
            self._line = self._line or Line.to(self._collections, self._name)
            if self._line is not None:
                self._line.ask("tell", name=self._name, **said)
                return True
        self._hang_up()
        return False

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


@contextmanager
def telling(collections: Path, name: str) -> Iterator[Teller]:
    """Tell of an ingest while the block runs."""
    teller = Teller(collections, name)
    try:
        yield teller
    finally:
        teller.close()
