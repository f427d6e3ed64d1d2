"""Whether so few points pass a filter that a search compares all of them: the index alone would miss some of these.

In: filters. Out: for each, whether to search exactly. A server is asked how many pass only where its index holds more
than are compared: elsewhere, all that pass are few.
"""

import json
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing

from cbir.collection.layout import COMPARED
from cbir.collection.served.reader import Condition
from cbir.core.workers import ordered_map

#: Seconds for which the size of an index is taken to be as it was told.
_KNOWN = 60.0
#: Filters that are counted at once.
_STREAMS = 8


class Few:
    """Tells of a collection's filters how many points pass.

    Parameters
    ----------
    dimension : int
        Values of a vector.
    indexed : int
        Points in the index, now.
    asked : callable
        Asks for that number.
    count : callable
        Asks about how many points pass a filter.
    """

    def __init__(
        self, dimension: int, indexed: int, asked: Callable[[], int], count: Callable[[Condition], int]
    ) -> None:
        self._most = COMPARED // dimension
        self._indexed, self._known_until = indexed, time.monotonic() + _KNOWN
        self._asked, self._count = asked, count

    def forget(self) -> None:
        """Ask for the size of the index the next time: it has been built."""
        self._known_until = 0.0

    def of(self, filters: Sequence[Condition | None]) -> list[bool]:
        """Tell of each filter whether few points pass; not of None, which all pass."""
        distinct = {id(each): json.dumps(each) for each in {id(each): each for each in filters if each}.values()}
        if not distinct:
            return [False] * len(filters)
        if self._size() <= self._most:
            return [bool(each) for each in filters]
        by_text = {distinct[id(each)]: each for each in filters if each}
        few = {text: points <= self._most for text, points in zip(by_text, self._counts(by_text.values()), strict=True)}
        return [bool(each) and few[distinct[id(each)]] for each in filters]

    def _counts(self, filters: Collection[Condition]) -> list[int]:
        """Count what passes each filter; threads are for several: they cost as much as an answer."""
        if len(filters) == 1:
            return [self._count(each) for each in filters]
        with closing(ordered_map(self._count, filters, threads=_STREAMS)) as counts:
            return list(counts)

    def _size(self) -> int:
        now = time.monotonic()
        if now >= self._known_until:
            self._indexed, self._known_until = self._asked(), now + _KNOWN
        return self._indexed
