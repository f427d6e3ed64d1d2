"""The collection that an ingest fills: a new one, one to add to, or one to replace.

In: an engine, a name and a source. Out: what is there, whether the source may
go there and under which name, and the collection, open for the time of a block.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from cbir.collection.checks import check_smooth, validated_name
from cbir.collection.errors import CollectionError, NewerFormatError, UnreadableError
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import Metadata
from cbir.core.errors import CbirWarning
from cbir.ingest.moved import known_in
from cbir.ingest.roots import named_whole, new_name, overlapping
from cbir.ingest.sources.source import Source


@dataclass(frozen=True)
class Target:
    """Where the points go.

    Attributes
    ----------
    name : str
        The collection's.
    source : Source
        Under the name that the collection knows it by, or will.
    existing : Metadata or None
        Those of a collection to add to; None for a new collection, and for one to replace.
    retrain : bool
    replaces : bool
        There is a collection, which the new one replaces once it is complete.
    smooth : int
        With how many nearest a feature is averaged.
    """

    name: str
    source: Source
    existing: Metadata | None
    retrain: bool
    replaces: bool
    smooth: int


def find_target(
    engine: Engine, name: str, source: Source, *, retrain: bool, add_source: bool, smooth: int | None
) -> Target:
    """Find out where the points of a source go; parameters as of `cbir.ingest.job.run`.

    Raises
    ------
    CollectionError
        The collection has another `smooth`, or holds other sources, which `retrain` would drop or which this one
        must not be added to, or a folder in or around this one; or it was written by a newer cbir.
    """
    if not engine.exists(name):
        return Target(validated_name(name), new_name(source), None, retrain, replaces=False, smooth=smooth or 0)
    if not retrain:
        existing = engine.metadata(name)
        if smooth is not None:
            check_smooth(name, existing, smooth)
        known = known_in(engine, name, existing, source)
        if not add_source:
            _check_source(name, existing, known)
        _check_overlap(name, existing, known)
        _warn_if_moved(name, existing, known)
        return Target(name, known, existing, retrain, replaces=False, smooth=existing.smooth)
    others: list[str] = []
    try:
        replaced = engine.metadata(name)
    except (NewerFormatError, UnreadableError):
        raise
    except CollectionError:
        pass  # damaged: rebuilding repairs that
    else:
        own = named_whole(known_in(engine, name, replaced, source))
        others = [replaced.place(other) for other in replaced.sources if other not in own]
        smooth = replaced.smooth if smooth is None else smooth
    if others:
        raise CollectionError(
            f"collection '{name}' holds {', '.join(others)}, which retraining on {source} would drop; "
            "ingest that source, or name another --collection"
        )
    return Target(name, new_name(source), None, retrain, replaces=True, smooth=smooth or 0)


def _check_source(name: str, existing: Metadata, source: Source) -> None:
    """Refuse to add a source to a collection of another one, unless the collection was named."""
    if existing.sources and not set(source.names) & set(existing.sources):
        places = ", ".join(existing.place(known) for known in existing.sources)
        raise CollectionError(
            f"collection '{name}' holds {places}. To add {source} to it, write --collection {name}; "
            "else give another name with --collection."
        )


def _check_overlap(name: str, existing: Metadata, source: Source) -> None:
    """Refuse a folder in or around a stored one: pictures would be stored twice."""
    if (other := overlapping(source, existing)) is not None:
        raise CollectionError(
            f"{source} has pictures in common with {other}, which collection '{name}' holds: ingest {other} again "
            "for what is new there, or name another --collection"
        )


def _warn_if_moved(name: str, existing: Metadata, source: Source) -> None:
    for root, path in source.roots.items():
        if (before := existing.roots.get(root)) not in (None, path):
            warnings.warn(
                f"collection '{name}' was filled from {before}, which no longer exists; {path} has the same pictures "
                "and takes its place",
                CbirWarning,
                stacklevel=2,
            )


@contextmanager
def open_target(engine: Engine, target: Target, metadata: Metadata) -> Iterator[Collection]:
    """Yield the collection to fill.

    If the block fails, a new collection without points is removed, and one that would have been replaced stays.

    Parameters
    ----------
    engine : Engine
    target : Target
    metadata : Metadata
        Of a new collection.
    """
    if target.replaces:
        with engine.replacement(target.name, metadata) as collection:
            yield collection
        return
    collection = engine.open(target.name) if target.existing else engine.create(target.name, metadata)
    try:
        yield collection
    except BaseException:
        with suppress(CollectionError):
            _close(engine, target, collection)
        raise
    _close(engine, target, collection)


def _close(engine: Engine, target: Target, collection: Collection) -> None:
    """Close a collection, and remove it if it is a new one that stayed empty."""
    try:
        empty = not target.existing and not collection.count()
    finally:
        collection.close()
    if empty:
        engine.delete(target.name)
