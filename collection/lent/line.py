"""A connection to the process that lends collections: something is asked, and the answer waited for.

In: the folder of embedded collections. Out: answers, as JSON values and bytes. Imports little: a search from the
command line begins here.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.collection.lent.messages import FORMAT, GoneError, Wire
from cbir.collection.lent.place import connected
from cbir.core.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Seconds in which a process that lends says that it is there.
_GREETING = 10.0
#: Seconds in which it has room for one more, and until it is asked again.
_ROOM, _MOMENT = 3.0, 0.05


class LenderGoneError(CollectionBusyError):
    """The process that lent a collection has ended; who opens the collection again may have it."""


class _FullError(CollectionBusyError):
    """As many borrow as can at once."""


class Line:
    """A connection to the process that lends; threads may share it, and take turns.

    Parameters
    ----------
    wire : Wire
    name : str
        Of the collection that it is about, for messages.
    """

    def __init__(self, wire: Wire, name: str) -> None:
        self._wire = wire
        self._name = name
        self._turn = threading.Lock()
        #: What was asked last, without an answer as yet: another thread waits for it, or this one was interrupted.
        self.unanswered = ""
        self._half_sent = False
        self._forgotten: deque[int] = deque()

    @classmethod
    def to(cls, collections: Path, name: str) -> Line | None:
        """Connect to the process that lends what is in a folder of collections; None if there is none.

        Raises
        ------
        CollectionBusyError
            It does not answer, or too many others ask it.
        CollectionError
            It is another cbir.
        """
        until = time.monotonic() + _ROOM
        while True:
            try:
                return cls._greeted(collections, name)
            except _FullError:
                if time.monotonic() >= until:
                    raise
            time.sleep(_MOMENT)

    @classmethod
    def _greeted(cls, collections: Path, name: str) -> Line | None:
        connection = connected(collections)
        if connection is None:
            return None
        wire = Wire(connection)
        wire.patience(_GREETING)
        try:
            greeting, _ = wire.receive()
        except GoneError:
            wire.close()
            raise CollectionBusyError(
                f"the cbir serve that holds collection '{name}' does not answer; end it and start it again"
            ) from None
        if greeting.get("format") != FORMAT:
            wire.close()
            raise CollectionError(
                "the running cbir serve is of another version of cbir; end it and start it again with this one"
            )
        if greeting.get("collections") != os.path.realpath(collections):
            wire.close()
            return None
        if greeting.get("full"):
            wire.close()
            raise _FullError(
                f"too many commands use the cbir serve that holds collection '{name}'; try again in a moment"
            )
        wire.patience(None)
        return cls(wire, name)

    def ask(
        self, what: str, parts: Sequence[bytes] = (), progress: Progress = silent, **arguments: Any
    ) -> tuple[Any, list[bytes]]:
        """Have something done, and wait for the answer.

        Raises
        ------
        LenderGoneError
            The process has ended meanwhile.
        CbirError, OSError
            As the other process raised it.
        """
        from cbir.collection.lent.values import error_from_json

        with self._turn:
            try:
                self._skip()
                self._half_sent = True
                forgotten = [self._forgotten.popleft() for _ in range(len(self._forgotten))]
                self._wire.send({"do": what, **arguments, "forgotten": forgotten}, parts)
                self._half_sent, self.unanswered = False, what
                answer, received = self._wire.receive()
                while (said := answer.get("progress")) is not None:
                    progress(*said)
                    answer, received = self._wire.receive()
                self.unanswered = ""
            except GoneError:
                self._wire.close()
                raise LenderGoneError(
                    f"the cbir serve that held collection '{self._name}' has ended. Nothing stored is lost. "
                    "Run the same command again to continue."
                ) from None
        if "error" in answer:
            raise error_from_json(answer["error"])
        return answer.get("answer"), received

    def _skip(self) -> None:
        """Leave out the answer to what was asked before this was interrupted, by Ctrl-C."""
        if self._half_sent:  # what follows would be taken for its end
            raise GoneError("interrupted")
        while self.unanswered:
            if "progress" not in self._wire.receive()[0]:
                self.unanswered = ""

    def forget(self, scroll: int) -> None:
        """Say with the next message that nobody reads a scroll on; waits for nothing, not even for another call."""
        self._forgotten.append(scroll)

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()
