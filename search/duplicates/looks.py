"""Looks of stored pictures, each opened once where possible, a bounded number kept; threads may share them.

In: ids and payloads of points. Out: their looks, or nothing for a picture that
cannot be opened.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping

from PIL import Image

from cbir.collection.place import places_of, with_places
from cbir.collection.point import Payload
from cbir.core.errors import CbirError
from cbir.search.duplicates.look import LONGEST, Look, look
from cbir.search.places import opened
from cbir.search.searcher import Searcher

#: Some 600 KB each.
_KEPT = 400


class Looks:
    """Opens the pictures of stored points.

    Parameters
    ----------
    searcher : Searcher
    payloads : Mapping
        By id, of the points that may be asked for.

    Attributes
    ----------
    unreadable : dict of str to str
        Ids of pictures that could not be opened, and why.
    sizes : dict of str to (int, int)
        Width and height in pixels, of pictures that were opened.
    inside : dict of str to float
        Share of each picture that is within its plain margins.
    grey : dict of str to bool
        Whether it has no colour.
    """

    def __init__(self, searcher: Searcher, payloads: Mapping[str, Payload]) -> None:
        self._searcher = searcher
        self._payloads = payloads
        self._kept: OrderedDict[str, Look] = OrderedDict()
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self.unreadable: dict[str, str] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.inside: dict[str, float] = {}
        self.grey: dict[str, bool] = {}

    def get(self, point: str) -> Look | None:
        """Return a look; None if the picture cannot be opened."""
        with self._lock:
            if point in self._kept:
                self._kept.move_to_end(point)
                return self._kept[point]
            if point in self.unreadable:
                return None
            opening = self._opening.setdefault(point, threading.Lock())
        with opening:
            with self._lock:
                if point in self._kept or point in self.unreadable:  # another thread was faster
                    return self._kept.get(point)
            made = self._open(point)
            with self._lock:
                self._opening.pop(point, None)
                if made is not None:
                    self._kept[point] = made
                    while len(self._kept) > _KEPT:
                        self._kept.popitem(last=False)
            return made

    def _open(self, point: str) -> Look | None:
        payload = self._payloads[point]
        stored = payload.get("width"), payload.get("height")
        known = all(isinstance(side, int) and side > 0 for side in stored)
        try:
            picture = self._opened(payload, LONGEST if known else None)
            made = look(picture)
        except CbirError as error:
            self.unreadable[point] = str(error)
            return None
        self.sizes[point] = stored if known else picture.size  # type: ignore[assignment]
        self.inside[point] = made.inside
        self.grey[point] = made.grey
        return made

    def _opened(self, payload: Payload, enough: int | None) -> Image.Image:
        """Open the first place of a content that can be."""
        failed = None
        for place in places_of(payload):
            try:
                located = self._searcher.metadata.locate(with_places(payload, [place]))
                return opened(self._searcher.open_picture, located, payload, enough)
            except CbirError as error:
                failed = failed or error
        raise failed or CbirError("it is nowhere")
