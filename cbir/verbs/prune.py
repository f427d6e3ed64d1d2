"""Remove what nothing uses: models, runs and maps without a collection, and what stopped processes left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.disk import disk_errors
from cbir.core.leftover import Leftover
from cbir.core.names import folded
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from cbir.collection.embedded.engine import EmbeddedEngine
    from cbir.collection.interface import Engine
    from cbir.collection.served.engine import ServedEngine
    from cbir.core.settings import Settings


@dataclass(frozen=True)
class Pruned:
    """What nothing uses, and what of it was removed.

    Attributes
    ----------
    home : Path
        `CBIR_HOME`.
    unused : tuple of Leftover
        All that was found and may be removed.
    removed : tuple of Leftover
        Of them; empty if `approve` said no.
    kept : Mapping of str to str
        What may be unused as well, or could not be removed, and why it stays.
    """

    home: Path
    unused: tuple[Leftover, ...]
    removed: tuple[Leftover, ...]
    kept: Mapping[str, str]

    @property
    def bytes(self) -> int:
        """What `unused` takes on disk."""
        return sum(each.bytes for each in self.unused)


def prune(*, approve: Callable[[Pruned], bool] | None = None, qdrant_url: str | Sequence[str] | None = None) -> Pruned:
    """Remove models, runs and maps that no collection uses, and what processes that were stopped left in `CBIR_HOME`.

    Nothing is removed that a collection here or on the named servers uses, that a process is making or reading, or
    that cannot be read. While it is not known what uses the models, because a server that was filled from here is not
    named, or a collection is damaged, all models and runs stay.

    Parameters
    ----------
    approve : callable, optional
        Given what would be removed, whether to remove it; by default it is removed unasked. It is not called if there
        is nothing.
    qdrant_url : str or sequence of str, optional
        Servers whose collections use models and runs of this home; by default `QDRANT_URL`.

    Returns
    -------
    Pruned

    Raises
    ------
    CbirError
        A server does not answer.
    """
    urls = [qdrant_url] if isinstance(qdrant_url, str) else list(qdrant_url or ())
    settings = read_settings()
    urls = urls or [url for url in (settings.qdrant_url,) if url]
    with ExitStack() as stack, disk_errors(settings.home):
        embedded = home.embedded_engine(settings, timeout=0)
        served = {
            url: stack.enter_context(closing(home.served_engine(replace(settings, qdrant_url=url))))
            for url in dict.fromkeys(urls)
        }
        look = _Look(settings, embedded, served)
        found, kept = look.unused()
        planned = Pruned(settings.home, tuple(found), (), kept)
        if not found or (approve is not None and not approve(planned)):
            return planned
        still, _ = look.unused()  # a person may have thought for hours
        paths = {each.path for each in still}
        removed = []
        for leftover in sorted(found, key=lambda each: each.kind == "model"):
            reason = look.remove(leftover) if leftover.path in paths else "used by now, or gone"
            if reason:
                kept[str(leftover.path)] = reason
            else:
                removed.append(leftover)
    return replace(planned, removed=tuple(removed), kept=kept)


@dataclass
class _Uses:
    """What the collections need: models, and which encoders filled which, all by folded names.

    `unknown` says what is not known of them.
    """

    models: set[str] = field(default_factory=set)
    filled: dict[str, frozenset[str] | None] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Look:
    """Where things are kept, and who may use them."""

    settings: Settings
    embedded: EmbeddedEngine
    served: Mapping[str, ServedEngine]

    def unused(self) -> tuple[list[Leftover], dict[str, str]]:
        """Return what nothing uses, and what stays although it may be unused, with the reason."""
        from cbir.evaluate import leftovers as runs
        from cbir.model import leftovers as models

        uses = self._uses()
        kept: dict[str, str] = {}
        found = [*self.embedded.leftovers(), *self._maps()]
        busy = home.being_filled(self.settings)
        if uses.unknown:
            kept[f"{self.settings.models} and {self.settings.runs}"] = "; ".join(uses.unknown)
        else:
            found += runs.leftovers(self.settings.runs, uses.filled)
        if busy:
            kept[str(self.settings.models)] = f"collection '{busy[0]}' is being filled: run this again when that ends"
        elif not uses.unknown:
            models.put_back_used(self.settings.models, uses.models)
            found += models.leftovers(self.settings.models, uses.models)
            for path in models.young_checkpoints(self.settings.models):
                kept[str(path)] = "a training that was stopped less than a day ago: the same command continues it"
        kept.update(self._without_a_name())
        return found, kept

    def remove(self, leftover: Leftover) -> str:
        """Remove one; return why not, empty if it is gone."""
        from cbir.collection.errors import CollectionError
        from cbir.core.leftover import remove

        try:
            if leftover.kind == "model":
                return self._remove_model(leftover)
            if leftover.path.is_relative_to(self.settings.collections):
                self.embedded.clear(leftover)
            else:
                remove(leftover.path)
        except (CollectionError, OSError) as error:
            return str(error)
        return "in use" if leftover.path.exists() else ""

    def _remove_model(self, leftover: Leftover) -> str:
        """Remove a model, which an ingest may be about to use; return why not.

        An ingest holds a lock before it looks for a model, and until a collection names the one that it took. So once
        the model has another name, whoever has seen it holds a lock, or has made a collection.
        """
        from cbir.core.leftover import remove
        from cbir.model.leftovers import put_back, set_aside

        aside = set_aside(leftover.path)
        try:
            busy, uses = home.being_filled(self.settings), self._uses()
            if busy or uses.unknown or folded(leftover.path.name) in uses.models:
                put_back(aside)
                return "used by now, or by what is being filled"
        except BaseException:
            put_back(aside)
            raise
        remove(aside)
        return ""

    def _uses(self) -> _Uses:
        """Return what all collections need that can be looked into."""
        from cbir.collection.errors import CollectionError

        uses = _Uses()
        engines: list[Engine] = [self.embedded, *self.served.values()]
        for engine in engines:
            for name, metadata in engine.all_metadata().items():
                if isinstance(metadata, CollectionError):
                    uses.unknown.append(f"which model collection '{name}' uses is not known: {metadata}")
                    uses.filled[folded(name)] = None
                    continue
                uses.models.add(folded(metadata.model))
                before = uses.filled.get(folded(name), frozenset())
                uses.filled[folded(name)] = None if before is None else before | {metadata.fingerprint}
        for folder in home.other_servers(self.settings, list(self.served.values())):
            uses.unknown.append(
                f"collections on the server {folder.name} may use them: name it with --qdrant-url; if it is no longer "
                f"in use, remove {folder}"
            )
        return uses

    def _maps(self) -> Iterator[Leftover]:
        """Yield the maps of what is no longer on a server."""
        from cbir.search.map.kept import unused_maps

        for url, engine in self.served.items():
            yield from unused_maps(replace(self.settings, qdrant_url=url), engine.all_metadata())

    def _without_a_name(self) -> Iterator[tuple[str, str]]:
        """Yield the collections of servers that no name stands for."""
        for engine in self.served.values():
            for name in engine.unnamed():
                yield (
                    f"'{name}' at {engine.location}",
                    "it has no alias: a process here or elsewhere is filling it, or was stopped while it did; "
                    "if it was stopped, delete it with Qdrant's own interface",
                )
