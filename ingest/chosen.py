"""A folder is ingested as it was before: a collection remembers what was chosen of each of its roots.

In: what is given now, and a collection. Out: the choice for each folder and archive: what was chosen before, but for
what is given now. A root that has moved is recognized once it is listed, and then listed again if need be.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cbir.collection.errors import CollectionError
from cbir.collection.interface import Engine
from cbir.collection.metadata import Metadata
from cbir.ingest.moved import known_in
from cbir.ingest.roots import remembered
from cbir.ingest.sources.choice import Choice, as_typed
from cbir.ingest.sources.rooted import RootedSource
from cbir.ingest.sources.several import SeveralSources
from cbir.ingest.sources.source import Source, SourceError


class Chosen:
    """What is chosen of a collection's roots.

    Parameters
    ----------
    engine : Engine
    given : Mapping
        The options of `Choice` that are given now.
    forget : bool
        Whether nothing that was chosen before counts.

    Raises
    ------
    OptionError
        A given option that is none.
    """

    def __init__(self, engine: Engine, given: Mapping[str, Any], *, forget: bool = False) -> None:
        self._engine = engine
        self._given = given
        self._forget = forget
        self._now = Choice(**given)
        self._before: dict[str, Any] = {}

    def by_path(self, name: str) -> Callable[[Path | str], Choice]:
        """Return the choice for each path, by what the collection of this name remembers; there may be none."""
        metadata = self._metadata(name)
        if metadata is None:
            return lambda _: self._now
        names = {path: root for root, path in metadata.roots.items()}
        return lambda path: self._of(metadata, names.get(str(path), str(path)))

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Add to the message of an error about a source what counts for it although it was not given."""
        try:
            yield
        except SourceError as error:
            if not self._before:
                raise
            before = as_typed(self._before)
            raise SourceError(f"{error}; as before, {before} counts: --forget-options takes all anew") from None

    def corrected(self, source: Source, name: str) -> Source:
        """Return an open source with the choices that the collection of this name remembers.

        It was opened by the choices `by_path` of a collection that was guessed, and of roots that may have moved.
        """
        metadata = self._metadata(name)
        known = source if metadata is None else known_in(self._engine, name, metadata, source)
        parts = source.parts if isinstance(source, SeveralSources) else [source]
        names = {path: root for root, path in known.roots.items()}
        corrected = [self._part(part, metadata, names) for part in parts]
        if all(one is other for one, other in zip(parts, corrected, strict=True)):
            return source
        return SeveralSources(corrected) if isinstance(source, SeveralSources) else corrected[0]

    def _part(self, part: Source, metadata: Metadata | None, names: Mapping[str, str]) -> Source:
        if not isinstance(part, RootedSource):
            return part
        path = str(part)
        choice = self._now if metadata is None else self._of(metadata, names.get(path, path))
        return part if choice == part.choice else part.chosen(choice)

    def _metadata(self, name: str) -> Metadata | None:
        """Return the metadata of a collection that remembers choices."""
        if self._forget:
            return None
        with suppress(CollectionError):  # it is said where the collection is opened
            if self._engine.exists(name):
                metadata = self._engine.metadata(name)
                return metadata if metadata.choices else None
        return None

    def _of(self, metadata: Metadata, root: str) -> Choice:
        if not (before := metadata.choices.get(root)):
            return self._now
        self._before |= {name: value for name, value in before.items() if name not in self._given}
        return remembered(metadata, root, {**before, **self._given})
