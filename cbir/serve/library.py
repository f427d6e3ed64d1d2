"""The collections that are served: each is opened when first asked for, and stays open.

In: names. Out: searchers, which threads share. A collection that was made again by another encoder meanwhile is opened
anew; one that cannot be read spoils only itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.core.errors import CbirError
from cbir.core.names import same_name

if TYPE_CHECKING:
    from PIL import Image

    from cbir.collection.interface import Collection
    from cbir.collection.metadata import Metadata
    from cbir.core.settings import Settings
    from cbir.search.searcher import Searcher

#: Seconds for which a collection's card is taken to be as it was: on a server, reading it is a request; here, a file's.
_FRESH_ON_SERVER, _FRESH_HERE = 2.0, 0.0


class Library:
    """The collections of a home, or of a server.

    Parameters
    ----------
    settings : Settings
    first : str, optional
        The collection that is meant where none is named; by default the one ingested last.

    Raises
    ------
    CollectionError
        There is no collection of that name.
    """

    def __init__(self, settings: Settings, first: str | None = None) -> None:
        self.settings = settings
        self._engine = home.open_engine(settings, retry_for=home.PATIENCE_OF_ASKING)
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._away: set[str] = set()
        self._fresh = _FRESH_HERE if settings.qdrant_url is None else _FRESH_ON_SERVER
        self._writing: dict[str, threading.Lock] = {}
        self._searchers: dict[str, tuple[Searcher, float]] = {}
        #: Decodes pictures' files, as `cbir.model.picture.decode`; None: that does, in this process.
        self.decode: Callable[..., Image.Image] | None = None
        try:
            self._first = None if first is None else home.collection_or_default(self._engine, first)
            if self._first is not None:
                self._engine.metadata(self._first)
        except BaseException:
            self._engine.close()
            raise

    @property
    def location(self) -> str:
        """Where the collections are: a folder, or a server's address."""
        return self._engine.location

    def all_metadata(self) -> dict[str, Metadata | CollectionError]:
        """Return what each collection remembers, or why it cannot be read."""
        return self._engine.all_metadata()

    def first(self) -> str:
        """Return the collection that is meant where none is named; CollectionError if there is none."""
        return self._first or home.default_collection(self._engine)

    def spelled(self, name: str | None) -> str:
        """Return a collection's name as it has it; None: that of the one that is meant where none is named."""
        return self.first() if name is None else self._engine.spelled(name)

    def searcher(self, name: str) -> Searcher:
        """Return what searches a collection; it is closed with the library.

        Raises
        ------
        CollectionError
            There is no such collection, or it cannot be opened; CollectionBusyError if another process holds it, or
            is replacing it.
        ModelError
            Its model is missing.
        """
        name = self._known(name)
        with self._lock:
            opening = self._opening.setdefault(name, threading.Lock())
        with opening:
            self._check_there(name)
            known, seen = self._searchers.get(name, (None, 0.0))
            if known is not None and time.monotonic() - seen < self._fresh:
                return known
            try:
                metadata = self._engine.metadata(name)
            except CollectionError:
                self._drop(name)
                raise
            if known is not None and _is_another(known.metadata, metadata):
                self._drop(name)
                known = None
            if known is not None:
                known.metadata = metadata  # it may have been filled from more folders since
            found = known or self._opened(name, metadata)
            with self._lock:
                self._searchers[name] = found, time.monotonic()
            return found

    def _known(self, name: str) -> str:
        """Return a name as the collection has it; CollectionError if there is none: nothing is kept for such names."""
        if name in self._opening:
            return name
        name = self._engine.spelled(name)
        self._engine.metadata(name)
        return name

    @contextmanager
    def writing(self, name: str) -> Iterator[tuple[Searcher, Collection]]:
        """Yield a collection to be changed: nobody else changes it meanwhile, and everybody searches on.

        Raises
        ------
        CollectionBusyError
            Another process fills it.
        CollectionError, ModelError
            As of `searcher`.
        """
        name = self._known(name)
        with self._lock:
            writing = self._writing.setdefault(name, threading.Lock())
        with writing, self._engine.writing(name):
            searcher = self.searcher(name)
            # Opened anew: a command that borrowed it may have remembered more since the searcher's was opened.
            with searcher.used(), closing(self._engine.open(name)) as collection:
                yield searcher, collection
                searcher.metadata = collection.metadata

    def _opened(self, name: str, metadata: Metadata) -> Searcher:
        from cbir.ingest.sources.catalogue import picture_opener
        from cbir.model.bundles import bundle_of
        from cbir.model.picture import decode
        from cbir.search.searcher import Searcher

        settings = self.settings
        # A request does not wait for another process, nor long for a server: whoever asks is told to come again.
        if settings.qdrant_url:
            engine = home.open_engine(settings, retry_for=home.PATIENCE_OF_ASKING)
        else:
            engine = home.embedded_engine(settings, timeout=0)
        try:
            bundle = bundle_of(settings.models, name, metadata.model, metadata.fingerprint)
            return Searcher(engine, name, bundle, picture_opener(settings.data, settings.cache, self.decode or decode))
        except BaseException:
            engine.close()
            raise

    @contextmanager
    def let_go(self, name: str) -> Iterator[None]:
        """Close a collection, and leave it closed while the block runs: another process replaces or removes it."""
        with self._lock:
            self._away.add(name)
            spellings = [other for other in self._opening if same_name(other, [name]) is not None]
            opening = [self._opening[other] for other in spellings]
        try:
            for other, lock in zip(spellings, opening, strict=True):
                with lock:  # whoever opens it just now has done so
                    self._drop(other)
            yield
        finally:
            with self._lock:
                self._away.discard(name)

    def _check_there(self, name: str) -> None:
        with self._lock:
            away = same_name(name, sorted(self._away)) is not None
        if away:
            raise CollectionBusyError(f"collection '{name}' is being replaced or removed; try again in a moment")

    def _drop(self, name: str) -> None:
        with self._lock:
            dropped = self._searchers.pop(name, None)
        if dropped is not None:
            dropped[0].close()

    def close(self) -> None:
        """Close all collections, once the running searches are done."""
        for name in list(self._searchers):
            with suppress(CbirError):
                self._drop(name)
        self._engine.close()


def _is_another(known: Metadata, now: Metadata) -> bool:
    """Tell whether a collection was made again since it was opened."""
    return (known.fingerprint, known.created) != (now.fingerprint, now.created)
