"""Twins: stored pictures that are the same as another, whose finding is as good as finding that one.

In: the points that a search had before the original. Out: which of them show
the same picture, by the file's hash or by the decoded pixels. Close features
alone do not make a twin: an encoder that cannot tell pictures apart would have
nothing but twins.
"""

from dataclasses import dataclass

import numpy as np

from cbir.collection.point import Payload
from cbir.core.errors import CbirError
from cbir.evaluate.heldout import content_digest
from cbir.search.searcher import Searcher

#: Of a feature's length: the features of twins differ by rounding, and by `--smooth`; then pixels decide.
_CLOSE = 0.01


@dataclass(frozen=True)
class Point:
    """A stored point; `feature`, (d,) float32, is None if it is not stored any more."""

    id: str
    payload: Payload
    feature: np.ndarray | None


class Twins:
    """Compares pictures of one collection; each is opened once at most.

    Parameters
    ----------
    searcher : Searcher
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._digests: dict[str, bytes | None] = {}

    def same(self, one: Point, other: Point) -> bool:
        """Tell whether two points show the same picture."""
        if one.payload.get("sha256") and one.payload.get("sha256") == other.payload.get("sha256"):
            return True
        if one.feature is None or other.feature is None:
            return False
        if np.linalg.norm(one.feature - other.feature) > _CLOSE * np.linalg.norm(one.feature):
            return False
        digest = self._digest(one)
        return digest is not None and digest == self._digest(other)

    def _digest(self, point: Point) -> bytes | None:
        if point.id not in self._digests:
            try:
                self._digests[point.id] = content_digest(self._searcher.open_stored(point.payload))
            except CbirError:
                self._digests[point.id] = None
        return self._digests[point.id]
