"""Whether the server can do what it is for: whoever watches it asks often, and must not wait nor make others wait.

In: the library. Out: what can be searched, or why it cannot. One thread looks, whatever number of requests ask; it is
none of the gate's, so that a full queue is no illness.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cbir.collection.errors import CollectionError
from cbir.core.errors import CbirError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cbir.serve.library import Library


class UnhealthyError(Exception):
    """The collection that is shown first cannot be searched."""


@dataclass(frozen=True)
class State:
    """What can be searched.

    Attributes
    ----------
    collection : str or None
        The one that is shown first, which is open; None if there is none yet.
    problems : Mapping
        Why others cannot be searched, by name.
    """

    collection: str | None
    problems: Mapping[str, str] = field(default_factory=dict)


class Health:
    """Looks whether the first collection can be opened; close it.

    Parameters
    ----------
    library : Library
    seconds : float
        After which no answer is one, too.
    """

    def __init__(self, library: Library, seconds: float = 5.0) -> None:
        self._library = library
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, "cbir-health")
        self._looking: Future[State] | None = None

    async def state(self) -> State:
        """Return what can be searched; UnhealthyError if the first collection cannot be."""
        if self._looking is None or self._looking.done():
            self._looking = self._thread.submit(self._look)
        looking = asyncio.wrap_future(self._looking)
        # Of one that nobody waits for any longer, asyncio would log that its error was never asked for.
        looking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            return await asyncio.wait_for(asyncio.shield(looking), self._seconds)
        except TimeoutError:
            raise UnhealthyError(f"no collection could be opened within {self._seconds:g} s") from None
        except CbirError as error:
            raise UnhealthyError(str(error)) from error

    def _look(self) -> State:
        found = self._library.all_metadata()
        if not found:
            return State(None)
        name = self._library.first()
        with self._library.searcher(name).used():
            pass
        return State(name, {other: str(why) for other, why in found.items() if isinstance(why, CollectionError)})

    def close(self) -> None:
        """End."""
        self._thread.shutdown(wait=False, cancel_futures=True)
