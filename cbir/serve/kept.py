"""What is kept in memory within a bound: whatever was not used for longest goes first.

In: keys, values and their sizes. Out: the values, for as long as there is room for them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

V = TypeVar("V")


class Kept(Generic[V]):
    """Values by their keys; threads share them.

    Parameters
    ----------
    most_bytes : int
        Of all values; the last one that was put is kept even if it alone has more.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Hashable) -> V | None:
        """Return a value; None if it is not there, or not any more."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Keep a value of so many bytes."""
        with self._lock:
            if key in self._held:
                self.bytes -= self._held.pop(key)[1]
            self._held[key] = value, size
            self.bytes += size
            while self.bytes > self._most and len(self._held) > 1:
                self.bytes -= self._held.popitem(last=False)[1][1]
