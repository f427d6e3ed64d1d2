"""How far pictures of a collection are from each other, and edited copies from their originals: what a distance means.

In: a searcher. Out: `Apart`. Strangers are measured when first asked for, which takes no time; copies when somebody
asks for that, in a thread, as pictures are edited and encoded for it. Both are kept until the collection changes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from cbir.core.errors import CbirError

if TYPE_CHECKING:
    from cbir.search.searcher import Searcher

#: Shares of edited copies whose distances are told.
SHARES = (0.5, 0.75, 0.9, 0.98)
#: Pictures that are edited, each in twelve ways.
_EDITED = 30
_SEED = 0


@dataclass(frozen=True)
class Apart:
    """How far pictures are apart.

    Attributes
    ----------
    farthest : float
        99 of 100 random pairs of stored pictures are no farther from each other; 0 if there are no pairs.
    copies : tuple of (float, float), or None
        Shares of edited copies, and the distance from their originals that so many do not exceed; None if not measured.
    measuring : (int, int) or None
        Pictures edited so far, and in all, while copies are being measured.
    problem : str or None
        Why they could not be.
    """

    farthest: float
    copies: tuple[tuple[float, float], ...] | None = None
    measuring: tuple[int, int] | None = None
    problem: str | None = None
    ids: tuple[str, ...] = field(default=(), repr=False)


class Distances:
    """What distances mean, by collection; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[object, Apart]] = {}
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    def of(self, searcher: Searcher) -> Apart:
        """Return what is known of a collection."""
        stamp = searcher.metadata.fingerprint, searcher.metadata.updated
        with self._lock:
            known = self._known.get(searcher.name)
        if known is not None and known[0] == stamp:
            return known[1]
        apart = _strangers(searcher)
        with self._lock:
            return self._put(searcher.name, stamp, apart)

    def measure(self, searcher: Searcher) -> Apart:
        """Begin to measure copies, unless that is done or under way."""
        apart = self.of(searcher)
        stamp = searcher.metadata.fingerprint, searcher.metadata.updated
        with self._lock:
            apart = self._known.get(searcher.name, (stamp, apart))[1]
            if apart.copies is not None or apart.measuring is not None or not apart.ids:
                return apart
            apart = self._put(searcher.name, stamp, replace(apart, measuring=(0, min(_EDITED, len(apart.ids)))))
            thread = threading.Thread(target=self._measure, args=(searcher, stamp, apart), daemon=True)
            self._threads.append(thread)
        thread.start()
        return apart

    def close(self) -> None:
        """End what is being measured."""
        self._closed.set()
        for thread in self._threads:
            thread.join()

    def _put(self, name: str, stamp: object, apart: Apart) -> Apart:
        self._known[name] = stamp, apart
        return apart

    def _measure(self, searcher: Searcher, stamp: object, apart: Apart) -> None:
        from cbir.search.duplicates.calibration import copies_apart
        from cbir.search.duplicates.options import DuplicatesOptions

        def told(stage: str, done: int, total: int | None, note: str = "") -> None:  # noqa: ARG001 - a Progress
            if self._closed.is_set():
                raise CbirError("the server ends")
            with self._lock:
                self._put(searcher.name, stamp, replace(apart, measuring=(done, total or done)))

        try:
            options = DuplicatesOptions(pictures=_EDITED, seed=_SEED)
            far, _ = copies_apart(searcher, apart.ids, options, progress=told)
        except Exception as error:  # noqa: BLE001 - told to those who wait for it
            result = replace(apart, measuring=None, problem=str(error))
        else:
            marks = np.quantile(far, SHARES).tolist()
            result = replace(apart, measuring=None, copies=tuple(zip(SHARES, marks, strict=True)))
        with self._lock:
            self._put(searcher.name, stamp, result)


def _strangers(searcher: Searcher) -> Apart:
    from cbir.search.duplicates.calibration import drawn_from, strangers_apart

    with searcher.used() as collection:
        ids = [point for page in collection.scroll(vectors=False, fields=[]) for point in page.ids]
    drawn = drawn_from(ids, _SEED)
    far = strangers_apart(searcher, drawn, len(ids), 0)
    return Apart(float(np.quantile(far, 0.99)) if len(far) else 0.0, ids=tuple(drawn))
