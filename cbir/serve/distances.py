"""How far pictures of a collection are from each other, and edited copies from their originals: what a distance means.

In: a searcher. Out: `Apart`. Strangers are measured when first asked for, which takes no time; copies when somebody
asks for that, in the background, as pictures are edited and encoded for it. Both are kept until the collection changes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbir.collection.point import raw_ids
from cbir.serve.background import Background, Work, stamp_of

if TYPE_CHECKING:
    from cbir.core.progress import Progress
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
    copies : Work of tuple of (float, float)
        Shares of edited copies, and the distance from their originals that so many do not exceed.
    """

    farthest: float
    copies: Work[tuple[tuple[float, float], ...]]


class Distances:
    """What distances mean, by collection; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._strangers: dict[str, tuple[object, float, list[str]]] = {}
        self._copies = Background(self._measured, "calibrate")

    def of(self, searcher: Searcher) -> Apart:
        """Return what is known of a collection."""
        return Apart(self._drawn(searcher)[0], self._copies.of(searcher))

    def measure(self, searcher: Searcher) -> Apart:
        """Begin to measure copies, unless that is done or under way."""
        farthest, ids = self._drawn(searcher)
        work = self._copies.begin(searcher, min(_EDITED, len(ids))) if ids else self._copies.of(searcher)
        return Apart(farthest, work)

    def close(self) -> None:
        """End what is being measured."""
        self._copies.close()

    def _drawn(self, searcher: Searcher) -> tuple[float, list[str]]:
        """Return how far strangers are apart, and the points that were drawn to measure that."""
        stamp = stamp_of(searcher)
        with self._lock:
            known = self._strangers.get(searcher.name)
        if known is None or known[0] != stamp:
            known = stamp, *_strangers(searcher)
            with self._lock:
                self._strangers[searcher.name] = known
        return known[1:]

    def _measured(self, searcher: Searcher, progress: Progress) -> tuple[tuple[float, float], ...]:
        from cbir.search.duplicates.calibration import copies_apart
        from cbir.search.duplicates.options import DuplicatesOptions

        options = DuplicatesOptions(pictures=_EDITED, seed=_SEED)
        far, _ = copies_apart(searcher, self._drawn(searcher)[1], options, progress=progress)
        return tuple(zip(SHARES, np.quantile(far, SHARES).tolist(), strict=True))


def _strangers(searcher: Searcher) -> tuple[float, list[str]]:
    from cbir.search.duplicates.calibration import drawn_from, strangers_apart

    with searcher.used() as collection:
        ids = np.concatenate([raw_ids(page.ids) for page in collection.scroll(vectors=False, fields=[])])
        drawn = drawn_from(ids, _SEED)
        far = strangers_apart(searcher, drawn, len(ids), 0)
    return float(np.quantile(far, 0.99)) if len(far) else 0.0, drawn
