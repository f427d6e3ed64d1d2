"""The ingests that run beside the server, as they tell of themselves, and those that have just ended.

In: what `cbir.collection.lent.telling` says. Out: how far each is, by the collection's name. One that is killed no
longer holds its connection, and is forgotten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cbir.collection.errors import CollectionError
from cbir.core.names import is_valid_name
from cbir.core.progress import STAGES

#: Seconds for which one that has ended is still told of, and how many such there are at the most.
_KEPT, _MOST = 60.0, 64
#: Characters of a stage, and the largest number: one that JavaScript can read.
_LONGEST, _LARGEST = 60, 2**53 - 1


@dataclass(frozen=True)
class Ingest:
    """How far an ingest is.

    Attributes
    ----------
    stage : str
        What is being done, in words; empty once it has ended.
    done : int
        Steps of this stage.
    total : int or None
    new : int or None
        Pictures that it added; None while it runs.
    ended : str or None
        When, as ISO 8601.
    """

    stage: str
    done: int
    total: int | None
    new: int | None = None
    ended: str | None = None


class Ingesting:
    """All ingests that tell of themselves; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[object, tuple[str, Ingest]] = {}
        self._ended: dict[str, tuple[Ingest, float]] = {}

    @contextmanager
    def hearing(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Yield what takes the messages of an ingest; it is forgotten at the end of the block, unless it has finished.

        That raises CollectionError, TypeError or KeyError for what is no such message.
        """
        key = object()

        def hear(said: dict[str, Any]) -> None:
            name = said["name"]
            if not is_valid_name(name):
                raise CollectionError(f"'{name!s:.50}' cannot be the name of a collection")
            if "new" not in said:
                stage = str(said["stage"])[:_LONGEST]
                ingest = Ingest(STAGES.get(stage, stage), _number(said["count"]) or 0, _number(said["total"]))
                with self._lock:
                    self._running[key] = name, ingest
                return
            ingest = Ingest("", 0, None, _number(said["new"]), datetime.now(UTC).isoformat())
            with self._lock:
                self._running.pop(key, None)
                self._ended.pop(name, None)
                self._ended[name] = ingest, time.monotonic()
                for oldest in list(self._ended)[:-_MOST]:
                    del self._ended[oldest]

        try:
            yield hear
        finally:
            with self._lock:
                self._running.pop(key, None)

    def now(self) -> dict[str, Ingest]:
        """Return how far each is, by the name of its collection."""
        since = time.monotonic() - _KEPT
        with self._lock:
            self._ended = {name: (ingest, when) for name, (ingest, when) in self._ended.items() if when > since}
            return {name: ingest for name, (ingest, _) in self._ended.items()} | dict(self._running.values())


def _number(said: object) -> int | None:
    if said is None:
        return None
    if not isinstance(said, int):
        raise TypeError(f"{said!s:.50} is no number")
    return min(max(said, 0), _LARGEST)
