"""Tell collections where their pictures are now, after a folder or a disk has moved."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.disk import disk_errors, expanded
from cbir.core.errors import CbirError, CbirWarning
from cbir.core.settings import read_settings
from cbir.core.uris import is_absolute

if TYPE_CHECKING:
    from cbir.collection.interface import Engine
    from cbir.collection.metadata import Metadata


@dataclass(frozen=True)
class MovedRoot:
    """A folder or archive of a collection, and where it is now.

    Attributes
    ----------
    collection, source : str
        The collection, and the name under which it knows the folder.
    before, after : str
        Absolute paths.
    """

    collection: str
    source: str
    before: str
    after: str


@dataclass(frozen=True)
class Moved:
    """What a move changed.

    Attributes
    ----------
    roots : tuple of MovedRoot
    failed : Mapping of str to str
        Collections that could not be changed, or looked into, and why.
    done : bool
        The collections were changed; not after a `dry_run`.
    """

    roots: tuple[MovedRoot, ...]
    failed: Mapping[str, str]
    done: bool


def move(
    old: str | Path,
    new: str | Path,
    collection: str | None = None,
    *,
    dry_run: bool = False,
    qdrant_url: str | None = None,
) -> Moved:
    """Tell collections that their pictures have moved: a folder, an archive, or a disk with several of them.

    Only the collections' metadata change. No picture is opened, moved or encoded, and the same the other way round
    undoes it.

    Parameters
    ----------
    old, new : str or Path
        Where the pictures were, and where they are. Each root that is `old`, or lies in it, is changed.
    collection : str, optional
        By default all of them.
    dry_run : bool
        Change nothing; return what would be changed.
    qdrant_url : str, optional
        Change the collections of this Qdrant server; by default of `QDRANT_URL`, else the embedded ones.

    Returns
    -------
    Moved

    Raises
    ------
    CbirError
        There is nothing in `old` that a collection knows, or none of the collections could be changed.
    """
    settings = read_settings(qdrant_url=qdrant_url)
    route = _Route(_places(Path(old)), expanded(new).resolve())
    moved: list[MovedRoot] = []
    failed: dict[str, str] = {}
    known: list[str] = []
    with closing(home.open_engine(settings)) as engine, disk_errors(settings.home):
        known_to = (
            engine.all_metadata() if collection is None else {engine.spelled(collection): engine.metadata(collection)}
        )
        for name, metadata in known_to.items():
            try:
                if isinstance(metadata, CbirError):
                    raise metadata
                known += [f"{path} ('{name}')" for path in metadata.roots.values()]
                if found := route.applied(name, metadata):
                    moved += found if dry_run else _remember(engine, name, route)
            except CbirError as error:
                if collection is not None:
                    raise
                failed[name] = str(error)
        if not moved:
            raise _nothing_moved(old, known, failed, engine.location)
    if missing := sorted({root.after for root in moved if not Path(root.after).exists()}):
        warnings.warn(
            f"not here, so that their pictures cannot be opened until they are: {', '.join(missing)}",
            CbirWarning,
            stacklevel=2,
        )
    return Moved(tuple(moved), failed, done=not dry_run)


@dataclass(frozen=True)
class _Route:
    """From the paths that the old place may be known by, to the new one."""

    old: tuple[Path, ...]
    new: Path

    def applied(self, name: str, metadata: Metadata) -> tuple[MovedRoot, ...]:
        """Return the roots of a collection that move.

        Raises
        ------
        CbirError
            An older cbir stored whole paths with its points, or a root would come to lie in or around another.
        """
        for source in metadata.sources:
            if is_absolute(source) and self._moved(source) is not None:
                raise CbirError(
                    f"collection '{name}' was filled by an older cbir, which stored whole paths; build it anew: "
                    f"{shlex.join(['cbir', 'ingest', str(self._moved(source)), '--collection', name, '--retrain'])}"
                )
        found = []
        for source, path in metadata.roots.items():
            if (after := self._moved(path)) is not None and str(after) != path:
                found.append(MovedRoot(name, source, path, str(after)))
        moving = {root.source for root in found}
        for root in found:
            for source, path in metadata.roots.items():
                before, after, other = Path(root.before), Path(root.after), Path(path)
                if source not in moving and _nested(after, other) and not _nested(before, other):
                    raise CbirError(
                        f"collection '{name}' holds {other} already, and {root.before} as well: moved to {root.after}, "
                        "the same pictures would be in it twice"
                    )
        return tuple(found)

    def _moved(self, path: str) -> Path | None:
        """Return where a path is now; None if it is not in the old place."""
        inside = (Path(path).relative_to(old) for old in self.old if Path(path).is_relative_to(old))
        return next((self.new / rest for rest in inside), None)


def _remember(engine: Engine, name: str, route: _Route) -> tuple[MovedRoot, ...]:
    """Write the new roots into a collection's metadata, which may have changed since they were read."""
    with engine.writing(name), closing(engine.open(name)) as collection:
        found = route.applied(name, collection.metadata)
        roots = {**collection.metadata.roots, **{root.source: root.after for root in found}}
        collection.remember(replace(collection.metadata, roots=roots))
    return found


def _places(old: Path) -> tuple[Path, ...]:
    """Return the absolute paths that an old place may be known by: an ingest stores what links point to."""
    absolute = Path(os.path.abspath(expanded(old)))  # noqa: PTH100 - only the text counts: it may be gone
    return tuple(dict.fromkeys((absolute, absolute.resolve())))


def _nested(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _nothing_moved(old: str | Path, known: Sequence[str], failed: Mapping[str, str], location: str) -> CbirError:
    if failed:
        return CbirError("; ".join(failed.values()))
    places = f"they know: {', '.join(known)}" if known else "they know no folder"
    return CbirError(
        f"no collection in {location} has a folder in {old}; {places}. What moved within a folder, or was listed by "
        "path, is recognized by the next cbir ingest, which encodes nothing again"
    )
