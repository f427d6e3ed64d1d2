"""The collection that an ingest fills: a new one, one to add to, or one to replace.

In: an engine, a name and a source. Out: what is there, whether the source may
go there and under which name, and the collection, open for the time of a block.
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice

from cbir.collection.checks import check_smooth
from cbir.collection.errors import CollectionError, NewerFormatError
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import Metadata
from cbir.core.errors import CbirWarning
from cbir.ingest.roots import known_as
from cbir.ingest.sources.source import Source
from cbir.model.errors import ImageError

#: Pictures compared to find out whether a folder has moved.
_SAMPLED = 100


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
        must not be added to; or it was written by a newer cbir.
    """
    if not engine.exists(name):
        return Target(name, known_as(source, None), None, retrain, replaces=False, smooth=smooth or 0)
    if not retrain:
        existing = engine.metadata(name)
        if smooth is not None:
            check_smooth(name, existing, smooth)
        known = known_as(source, existing, partial(_holds_pictures_of, engine, name))
        if not add_source:
            _check_source(name, existing, known)
        _warn_if_moved(name, existing, known)
        return Target(name, known, existing, retrain, replaces=False, smooth=existing.smooth)
    others: list[str] = []
    try:
        replaced = engine.metadata(name)
    except NewerFormatError:
        raise
    except CollectionError:
        pass  # damaged: rebuilding repairs that
    else:
        own = known_as(source, replaced, partial(_holds_pictures_of, engine, name)).name
        others = [_place(replaced, other) for other in replaced.sources if other != own]
        smooth = replaced.smooth if smooth is None else smooth
    if others:
        raise CollectionError(
            f"collection '{name}' holds {', '.join(others)}, which retraining on {source} would drop; "
            "ingest that source, or name another --collection"
        )
    return Target(name, known_as(source, None), None, retrain, replaces=True, smooth=smooth or 0)


def _holds_pictures_of(engine: Engine, name: str, source: Source) -> bool:
    """Return whether some picture of a folder, of a sample, is stored with the same content.

    A folder of the same name may be another one, while the disk with the stored one is not mounted.
    """
    step = max(1, -(-len(source) // _SAMPLED))
    items = list(islice(source.items(), 0, None, step))
    try:
        with closing(engine.open(name)) as collection:
            payloads = collection.payloads([item.id for item in items])
    except CollectionError:
        return True  # damaged or in use: the error comes when it is opened to be filled
    for item in items:
        stored = payloads.get(item.id, {}).get("sha256")
        with suppress(ImageError):
            if stored and item.content and stored == hashlib.sha256(item.content()).hexdigest():
                return True
    return False


def _place(metadata: Metadata, source: str) -> str:
    """Return what a user calls a source of a collection: a dataset's name or a folder's path."""
    return metadata.roots.get(source, source)


def _check_source(name: str, existing: Metadata, source: Source) -> None:
    """Refuse to add a source to a collection of another one, unless the collection was named."""
    if existing.sources and source.name not in existing.sources:
        places = ", ".join(_place(existing, known) for known in existing.sources)
        raise CollectionError(
            f"collection '{name}' holds {places}. To add {source} to it, write --collection {name}; "
            "else give another name with --collection."
        )


def _warn_if_moved(name: str, existing: Metadata, source: Source) -> None:
    before = existing.roots.get(source.name)
    if before not in (None, str(source.root)):
        warnings.warn(
            f"{before}, which collection '{name}' holds, is gone; {source} is taken to be that folder, moved",
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
