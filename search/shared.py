"""A collection that threads share: opened when the first of them needs it, and closed when none uses it any more.

In: how to open it. Out: the open collection, for as long as a thread says that it uses it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cbir.collection.errors import SearcherClosedError
from cbir.collection.interface import Collection
from cbir.collection.lent.line import LenderGoneError


class SharedCollection:
    """One collection.

    Parameters
    ----------
    name : str
    open_collection : callable
        Opens it.
    close_engine : callable
        Called after it was closed.
    """

    def __init__(self, name: str, open_collection: Callable[[], Collection], close_engine: Callable[[], None]) -> None:
        self._name = name
        self._open = open_collection
        self._close_engine = close_engine
        #: Held to open and to close, not to search; to close is waited for until nobody searches.
        self._changes = threading.Condition(threading.RLock())
        self._users = 0
        self._closed = False
        self._collection: Collection | None = None

    @property
    def collection(self) -> Collection:
        """The collection, opened when first needed; CollectionError after `close`."""
        with self._changes:
            if self._closed:
                raise SearcherClosedError(
                    f"this searcher of collection '{self._name}' is closed; make another: cbir.open()"
                )
            if self._collection is None:
                self._collection = self._open()
            return self._collection

    @property
    def closed(self) -> bool:
        """Whether it is closed for good, or is to be once nobody uses it: whoever takes long should end."""
        return self._closed

    @contextmanager
    def used(self) -> Iterator[Collection]:
        """Yield the collection, which stays open until the block ends."""
        with self._changes:
            collection = self.collection
            self._users += 1
        try:
            yield collection
        except LenderGoneError:
            self._forget(collection)
            raise
        finally:
            with self._changes:
                self._users -= 1
                self._changes.notify_all()

    def _forget(self, gone: Collection) -> None:
        """Open another the next time: the process that lent this one has ended."""
        with self._changes:
            if self._collection is gone:
                self._collection = None

    def release(self, *, for_good: bool = False) -> None:
        """Close it once nobody uses it; unless `for_good`, who needs it then opens it again."""
        with self._changes:
            self._closed = self._closed or for_good
            self._changes.wait_for(lambda: not self._users)
            if self._collection is not None:
                self._collection.close()
                self._collection = None
            self._close_engine()
