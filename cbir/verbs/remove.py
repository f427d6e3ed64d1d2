"""Remove a collection. Pictures on disk are never touched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.disk import disk_errors, size_on_disk
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from cbir.collection.interface import Engine
    from cbir.core.settings import Settings


@dataclass(frozen=True)
class Removal:
    """What is removed of a collection, or would be.

    Attributes
    ----------
    collection : str
    location : str
        The folder of collections, or the server's address.
    points : int or None
        To be removed; None where they cannot be counted, because the collection is damaged.
    bytes : int or None
        That this frees on disk; None where that is not known, as on a server.
    places : tuple of str
        Folders and datasets that the pictures are from; they stay as they are.
    model : str or None
        The model that filled it; it stays.
    other_names : tuple of str
        Aliases on a server that name the same points, which therefore stay: only the name is removed.
    problem : str
        Why the collection cannot be read; empty if it can.
    removed : bool
    """

    collection: str
    location: str
    points: int | None
    bytes: int | None
    places: tuple[str, ...]
    model: str | None
    other_names: tuple[str, ...]
    problem: str
    removed: bool = False


def remove(
    collection: str, *, approve: Callable[[Removal], bool] | None = None, qdrant_url: str | None = None
) -> Removal:
    """Remove a collection; its pictures, its model and the runs that measured it stay.

    Parameters
    ----------
    collection : str
    approve : callable, optional
        Given what would be removed, whether to remove it; by default it is removed unasked.
    qdrant_url : str, optional
        Remove it from this Qdrant server; by default from `QDRANT_URL`, else the embedded one.

    Returns
    -------
    Removal

    Raises
    ------
    CbirError
        No such collection, it is in use or being filled, a newer cbir wrote it, or it has changed since it was
        shown to `approve`.
    """
    from cbir.collection.errors import CollectionError

    settings = read_settings(qdrant_url=qdrant_url)
    with closing(home.open_engine(settings)) as engine, disk_errors(settings.home):
        _check_exists(engine, collection)
        with engine.writing(collection):  # before a person is asked for nothing
            planned = _plan(engine, collection, settings)
        # Nobody is kept from the collection while the person thinks.
        if approve is not None and not approve(planned):
            return planned
        _check_exists(engine, collection)
        with engine.writing(collection):
            now = _plan(engine, collection, settings)
            if replace(now, bytes=planned.bytes) != planned:
                raise CollectionError(
                    f"collection '{collection}' has changed meanwhile ({_counted(now)}, not {_counted(planned)}); "
                    "nothing was removed"
                )
            engine.delete(collection)
    return replace(planned, removed=True)


def _check_exists(engine: Engine, name: str) -> None:
    from cbir.collection.errors import no_such_collection

    if not engine.exists(name):
        raise no_such_collection(name, engine.location, engine.names())


def _plan(engine: Engine, name: str, settings: Settings) -> Removal:
    """Return what removing a collection would remove."""
    from cbir.collection.errors import CollectionBusyError, CollectionError, NewerFormatError

    size = None if settings.qdrant_url else size_on_disk(settings.collections / name)
    try:
        metadata = engine.metadata(name)
        with closing(engine.open(name)) as opened:
            points = opened.count()
        places = tuple(map(metadata.place, metadata.sources))
        others = tuple(engine.other_names(name))
        return Removal(name, engine.location, 0 if others else points, size, places, metadata.model, others, "")
    except (CollectionBusyError, NewerFormatError):
        raise
    except CollectionError as error:
        if settings.qdrant_url:
            raise  # it may be the server, or another tool's collection
        return Removal(name, engine.location, None, size, (), None, (), str(error))


def _counted(removal: Removal) -> str:
    return "damaged" if removal.points is None else f"{removal.points:,} points"
