"""Twins: pictures that are the same as another, whose finding is as good as finding that one.

In: pictures, or stored points. Out: hashes of what they show, and which points
show the same, by the file's hash or by the decoded pixels. Close features
alone do not make a twin: an encoder that cannot tell pictures apart would have
nothing but twins.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from cbir.collection.point import Payload, ids_of
from cbir.core.errors import CbirError, CbirWarning
from cbir.core.words import counted
from cbir.core.workers import batched, ordered_map
from cbir.evaluate.database import payloads_of
from cbir.search.searcher import Searcher

#: Of a feature's length: the features of twins differ by rounding, and by `--smooth`; then pixels decide.
CLOSE = 0.01
#: Pictures a thread takes at once: a dataset's hash takes less time than handing it over.
_BATCH = 256
#: Modes of more than eight bits a value, which RGBA would clip.
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


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
        if np.linalg.norm(one.feature - other.feature) > CLOSE * np.linalg.norm(one.feature):
            return False
        digest = self._digest(one)
        return digest is not None and digest == self._digest(other)

    def _digest(self, point: Point) -> bytes | None:
        if point.id not in self._digests:
            self._digests[point.id] = _digest(lambda: self._searcher.open_stored(point.payload))
        return self._digests[point.id]


def content_digest(picture: Image.Image) -> bytes:
    """Hash a picture's size and pixels, however they are stored."""
    if picture.mode not in _DEEP:
        picture = picture.convert("RGBA")
    return hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).digest()


def content_digests(openers: Iterable[Callable[[], Image.Image]]) -> Iterator[bytes | None]:
    """Open and hash pictures in threads, in their order; None for one that cannot be opened."""
    with closing(ordered_map(lambda batch: [_digest(opener) for opener in batch], batched(openers, _BATCH))) as digests:
        for batch in digests:
            yield from batch


def stored_digests(searcher: Searcher, ids: np.ndarray) -> list[bytes | None]:
    """Open and hash the pictures of stored points, which may be copies of others; warn of those that cannot be opened.

    Parameters
    ----------
    searcher : Searcher
    ids : ndarray of uint8, shape (n, 16)

    Returns
    -------
    list of bytes or None
    """
    payloads = payloads_of(searcher.collection, ids_of(ids))
    digests = list(content_digests(partial(searcher.open_stored, payload) for payload in payloads))
    if unreadable := digests.count(None):
        message = (
            f"{counted(unreadable, 'stored picture')} cannot be opened, but may be copies of others by their features; "
            "copies that are found make scores too high. If the folder has moved, ingest it from its new place"
        )
        warnings.warn(message, CbirWarning, stacklevel=2)
    return digests


def _digest(open_picture: Callable[[], Image.Image]) -> bytes | None:
    try:
        return content_digest(open_picture())
    except CbirError:
        return None
