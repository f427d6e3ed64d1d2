"""Whoever waits for a server in the main thread is told so, once, with the most seconds that are known.

In: calls of the main thread, and how long each request may take. Out: a warning while one of the first calls, those
before the work proper, waits for an answer.
"""

import contextlib
import threading
import warnings
from collections.abc import Callable
from typing import TypeVar

from cbir.core.errors import CbirWarning

T = TypeVar("T")

#: Seconds of waiting after which somebody is told, and how many calls that is for: the work proper has a progress of
#: its own.
SAY_AFTER, _FIRST_CALLS = 3.0, 16


class ServerWarning(CbirWarning):
    """A server that has to be waited for, or a key that others could read."""


class Late:
    """Tells of a server that answers late.

    Parameters
    ----------
    location : str
        The server's.
    """

    def __init__(self, location: str) -> None:
        self._location = location
        # Calls that somebody may have waited for; as many as count, once that was said.
        self._calls = 0
        # The most seconds that the request under way may take; None: it has a patience of its own.
        self._most: float | None = None

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the main thread, where a signal ends it."""
        if self._calls >= _FIRST_CALLS:  # a timer takes a tenth of a search's time
            return function()
        self._calls += 1
        self._most = None
        timer = threading.Timer(SAY_AFTER, self._tell)
        timer.daemon = True
        timer.start()
        try:
            return function()
        finally:
            timer.cancel()

    def asked(self, seconds: float) -> None:
        """Note that a request is sent, and how long it may take."""
        if threading.current_thread() is threading.main_thread():
            self._most = seconds

    def _tell(self) -> None:
        self._calls = _FIRST_CALLS
        most = "" if self._most is None else f", up to {self._most:.0f} s"
        message = f"waiting for Qdrant at {self._location}, which has not answered yet{most}"
        with contextlib.suppress(ServerWarning):  # where warnings are errors, this thread has nobody to tell
            warnings.warn(message, ServerWarning, stacklevel=2)
