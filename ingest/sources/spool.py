"""A stream that can only be read forward, kept for a while, so that threads may ask for its records in any order.

In: a way to begin the stream, whose records are numbered. Out: any record. What
was read lately lies in a temporary file without a name, of bounded size;
whoever asks for an earlier one makes the stream begin again.
"""

import math
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO

#: Bytes of records that are kept, by default.
KEPT_BYTES = 512 << 20
#: Up to this many bytes are kept in memory instead.
_IN_MEMORY = 8 << 20


class Spool:
    """The records of a stream by their numbers.

    Parameters
    ----------
    begin : callable
        Given a number, returns an iterator over `(number, content)` in ascending order, from that number on or from
        an earlier one, and a record each. It may raise anything.
    most : int
        Bytes that are kept. Threads that work on records farther apart make the stream begin again and again.
    jump : int, optional
        The stream begins again, too, rather than pass over so many records; by default it passes over any number.
    """

    def __init__(
        self,
        begin: Callable[[int], Iterator[tuple[int, bytes]]],
        most: int = KEPT_BYTES,
        *,
        jump: float = math.inf,
    ) -> None:
        self._begin, self._most, self._jump = begin, most, jump
        self._lock = threading.Lock()
        self._stream: Iterator[tuple[int, bytes]] | None = None
        self._passed = -1
        self._kept: dict[int, tuple[int, int]] = {}  # number -> where in the file, and how much
        self._order: deque[int] = deque()
        self._file: IO[bytes] | None = None
        self._at = 0

    def get(self, number: int) -> bytes | None:
        """Return a record; None if the stream has none of this number. Errors of the stream are raised."""
        with self._lock:
            if number in self._kept:
                return self._recall(number)
            if self._stream is None or not 0 < number - self._passed <= self._jump:
                self._stream, self._passed = self._begin(number), -1
            try:
                for passed, content in self._stream:
                    self._passed = passed
                    self._keep(passed, content)
                    if passed == number:
                        return content
                    if passed > number:
                        return None
            except BaseException:
                self._stream = None
                raise
            self._stream = None
            return None

    def close(self) -> None:
        """Forget everything; the next `get` begins anew."""
        with self._lock:
            self._stream, self._passed = None, -1
            self._forget()

    def _forget(self) -> None:
        self._kept.clear()
        self._order.clear()
        self._at = 0
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _keep(self, number: int, content: bytes) -> None:
        """Write a record behind the last one; at the end of the room, over the first ones, as in a ring."""
        if number in self._kept or not content or len(content) > self._most:
            return
        if self._at + len(content) > self._most:
            self._drop(self._at, self._most)
            self._at = 0
        end = self._at + len(content)
        self._drop(self._at, end)
        try:
            if self._file is None:
                self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by close
                weakref.finalize(self, self._file.close)
            self._file.seek(self._at)
            self._file.write(content)
        except OSError:  # no room on the disk: what is asked for again is read again
            self._forget()
            self._most = 0
            return
        self._kept[number] = (self._at, len(content))
        self._order.append(number)
        self._at = end

    def _drop(self, start: int, end: int) -> None:
        """Forget the oldest records, as long as they begin in a part of the file."""
        while self._order and start <= self._kept[self._order[0]][0] < end:
            del self._kept[self._order.popleft()]

    def _recall(self, number: int) -> bytes:
        start, size = self._kept[number]
        assert self._file is not None  # noqa: S101 - something is kept
        self._file.seek(start)
        return self._file.read(size)
