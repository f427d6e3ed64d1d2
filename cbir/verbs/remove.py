"""Remove a collection, or points of one. Pictures on disk are never touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cbir.collection import home
from cbir.collection.metadata import changed_now
from cbir.core.disk import disk_errors, size_on_disk
from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from cbir.collection.filter import Filter, Where
    from cbir.collection.interface import Collection, Engine
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
    stored : int or None
        Points in the collection before.
    bytes : int or None
        That this frees on disk; None where that is not known: on a server, or of some of the points.
    places : tuple of str
        Folders and datasets that the collection's pictures are from; they stay as they are.
    copies : int
        More places on disk where the content of the points is: exact copies that pass the filter too.
    kept, places_off : int
        Points that stay, as the filter passes for some of their places alone; and the places that are taken off them.
    model : str or None
        The model that filled it; it stays.
    other_names : tuple of str
        Aliases on a server that name the same points. If the whole collection is removed, the points stay, under
        these names.
    where : dict or None
        Which points, as JSON values; None: the whole collection.
    problem : str
        Why the collection cannot be read; empty if it can.
    removed : bool
    """

    collection: str
    location: str
    points: int | None = None
    stored: int | None = None
    bytes: int | None = None
    places: tuple[str, ...] = ()
    copies: int = 0
    kept: int = 0
    places_off: int = 0
    model: str | None = None
    other_names: tuple[str, ...] = ()
    where: Mapping[str, Any] | None = None
    problem: str = ""
    removed: bool = False


def remove(
    collection: str | None = None,
    *,
    where: Where | str | Sequence[str] | None = None,
    approve: Callable[[Removal], bool] | None = None,
    qdrant_url: str | None = None,
    progress: Progress = silent,
) -> Removal:
    """Remove a collection, or those of its points that pass a filter.

    Of a content that is in several places, those places are removed that pass, and the point with the last of them.
    Its pictures, its model and the runs that measured it stay. Points whose pictures are still where they were are
    stored again by the next ingest of their folder, unless they are left out of it.

    Parameters
    ----------
    collection : str, optional
        To be named if the whole collection is to be removed; else by default the only one, or the one ingested last.
    where : Filter, Mapping, str or sequence of str, optional
        Which points: a filter, payload fields with the values allowed in each, or conditions as `--where` takes them,
        such as `folder=Holidays/**`. By default the whole collection.
    approve : callable, optional
        Given what would be removed, whether to remove it; by default it is removed unasked. It is not called if no
        point passes the filter.
    qdrant_url : str, optional
        Remove from this Qdrant server; by default from `QDRANT_URL`, else what is embedded.
    progress : Progress
        Stage `remove`.

    Returns
    -------
    Removal

    Raises
    ------
    CbirError
        No such collection, it is in use or being filled, a newer cbir wrote it, it has changed since it was shown to
        `approve`, or the filter cannot be read or is empty.
    """
    from cbir.collection.errors import CollectionError
    from cbir.collection.unmatched import warn_of_unmatched

    settings = read_settings(qdrant_url=qdrant_url)
    some = None if where is None else _Some(where)
    if collection is None and some is None:
        raise CbirError("name the collection to remove, or say which of its points with --where")
    with closing(home.open_engine(settings)) as engine, disk_errors(settings.home):
        name = home.collection_or_default(engine, collection)
        planned = _plan(engine, name, some, settings)  # a lock is held: before a person is asked for nothing
        # Nobody is kept from the collection while the person thinks.
        if planned.points == 0 and not planned.kept and some is not None:
            with closing(engine.open(name)) as opened:
                warn_of_unmatched(some.of(opened), opened)
            return planned
        if approve is not None and not approve(planned):
            return planned
        with _filling(engine, name):
            now = _seen(engine, name, some, settings)
            if replace(now, bytes=planned.bytes) != planned:
                raise CollectionError(
                    f"collection '{name}' has changed meanwhile ({_counted(now)}, not {_counted(planned)}); "
                    "nothing was removed"
                )
            if some is None:
                engine.delete(name)
                _remove_maps(engine, settings)
            else:
                _remove_points(engine, name, some, (planned.points or 0) + planned.kept, progress)
    return replace(planned, removed=True)


@dataclass(frozen=True)
class _Some:
    """Which points, as it was given."""

    where: Where | str | Sequence[str]

    def of(self, collection: Collection) -> Filter:
        """Return the filter; CbirError if it is none, as that would mean all points."""
        from cbir.collection.stored_fields import read_where

        chosen = read_where(self.where, collection)
        if chosen is None:
            raise CbirError("which points? An empty filter would remove all; to remove the collection, name it alone")
        return chosen


@contextmanager
def _filling(engine: Engine, name: str) -> Iterator[None]:
    """Hold the lock on filling a collection that exists."""
    from cbir.collection.errors import no_such_collection

    if not engine.exists(name):
        raise no_such_collection(name, engine.location, engine.names())
    with engine.writing(name):
        yield


def _plan(engine: Engine, name: str, some: _Some | None, settings: Settings) -> Removal:
    with _filling(engine, name):
        return _seen(engine, name, some, settings)


def _seen(engine: Engine, name: str, some: _Some | None, settings: Settings) -> Removal:
    """Return what would be removed."""
    from cbir.collection.errors import CollectionBusyError, CollectionError, NewerFormatError, UnreadableError

    size = None if settings.qdrant_url else size_on_disk(settings.collections / name)
    try:
        with closing(engine.open(name)) as opened:
            return _some_of(engine, opened, some) if some else _all_of(engine, opened, size)
    except (CollectionBusyError, NewerFormatError, UnreadableError):
        raise
    except CollectionError as error:
        if some or settings.qdrant_url:
            raise  # it may be the filter, the server, or another tool's collection
        return Removal(name, engine.location, bytes=size, problem=str(error))


def _all_of(engine: Engine, opened: Collection, size: int | None) -> Removal:
    known = _known(engine, opened)
    return replace(known, points=0 if known.other_names else known.stored, bytes=size)


def _some_of(engine: Engine, opened: Collection, some: _Some) -> Removal:
    from cbir.collection.filter_json import to_json
    from cbir.collection.place import COPIES, PLACE
    from cbir.collection.removal import taken

    chosen = some.of(opened)
    points = copies = kept = off = 0
    for page in taken(opened, chosen, fields=(*PLACE, COPIES)):
        points += len(page.gone)
        copies += page.copies
        kept += len(page.left)
        off += page.places
    known = _known(engine, opened)
    return replace(known, points=points, copies=copies, kept=kept, places_off=off, where=to_json(chosen))


def _known(engine: Engine, opened: Collection) -> Removal:
    metadata = opened.metadata
    return Removal(
        opened.name,
        engine.location,
        stored=opened.count(),
        places=tuple(map(metadata.place, metadata.sources)),
        model=metadata.model,
        other_names=tuple(engine.other_names(opened.name)),
    )


def _remove_points(engine: Engine, name: str, some: _Some, total: int, progress: Progress) -> None:
    """Remove points page by page: what a process that is killed has not removed yet, the next one does."""
    from cbir.collection.removal import taken

    with closing(engine.open(name)) as opened:
        done = 0
        for page in taken(opened, some.of(opened)):
            opened.replace_payloads(list(page.left), list(page.left.values()))
            opened.delete(page.gone)
            done += len(page)
            progress("remove", done, total)
        if done:
            opened.remember(changed_now(opened.metadata))


def _remove_maps(engine: Engine, settings: Settings) -> None:
    """Remove the maps of what is no longer on a server; what stays is removed by the next time, or `cbir prune`."""
    from cbir.search.map.kept import unused_maps

    if settings.qdrant_url is not None:
        with suppress(CbirError, OSError):
            for each in unused_maps(settings, engine.all_metadata()):
                each.path.unlink(missing_ok=True)


def _counted(removal: Removal) -> str:
    return "damaged" if removal.points is None else f"{removal.points:,} of {removal.stored or 0:,} points"
