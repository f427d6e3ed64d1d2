"""The names that a collection knows its sources by.

A dataset has its own name everywhere. A folder has a short name, and its path
stands once in the collection's metadata (`roots`), so that it can be moved and
nothing has to be stored again. Collections of format 1 know a folder by its
absolute path, and continue to do so.
"""

import itertools
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from cbir.collection.metadata import Metadata
from cbir.core.uris import is_absolute
from cbir.ingest.sources.catalogue import NAMES, open_dataset
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.source import Source, SourceError


def known_as(source: Source, metadata: Metadata, has_moved: Callable[[Source], bool]) -> Source:
    """Return a source under the name that a collection knows it by, or will.

    Parameters
    ----------
    source : Source
    metadata : Metadata
        The collection's.
    has_moved : callable
        Given the source under the name of a root that is gone, whether it is that folder, moved.

    Returns
    -------
    Source
        A folder that the collection holds has the same name as before, also when it has moved, whatever it is
        called now: there is a root whose path no longer exists. A folder in or around one of format 1 has absolute
        uris as well, so that no picture is stored twice. Any other folder takes a `new_name`.
    """
    if not isinstance(source, FolderSource):
        return source
    if any(_nested(source.root, Path(name)) for name in metadata.sources if is_absolute(name)):
        return source.with_absolute_uris()
    for name, path in metadata.roots.items():
        if path == str(source.root):
            return source.renamed({source.name: name})
    gone = [name for name, path in metadata.roots.items() if not Path(path).exists()]
    for name in sorted(gone, key=lambda name: name != source.name):  # its own name first
        renamed = source.renamed({source.name: name})
        if has_moved(renamed):
            return renamed
    return new_name(source, {*metadata.sources, *metadata.roots})


def overlapping(source: Source, metadata: Metadata) -> str | None:
    """Return the path of another stored folder that has pictures in common with a new one; None if there is none.

    Parameters
    ----------
    source : Source
        Under the name that the collection will know it by.
    metadata : Metadata
        The collection's.
    """
    if not isinstance(source, FolderSource) or str(source.root) in metadata.roots.values():
        return None
    pictures = None
    for name, path in metadata.roots.items():
        if name != source.name and _nested(source.root, Path(path)):
            pictures = pictures or set(source.paths())
            with suppress(SourceError):
                if not pictures.isdisjoint(FolderSource(Path(path)).paths()):
                    return path
    return None


def _nested(one: Path, other: Path) -> bool:
    """Return whether two folders are the same, or one is in the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def new_name(source: Source, taken: Collection[str] = ()) -> Source:
    """Return a folder under the first of its own name, `name-2`, `name-3`, ... that is not taken and no dataset's."""
    if not isinstance(source, FolderSource):
        return source
    names = itertools.chain([source.name], (f"{source.name}-{n}" for n in itertools.count(2)))
    return source.renamed({source.name: next(name for name in names if name not in {*NAMES, *taken})})


def open_known(name: str, metadata: Metadata, folders: Sequence[Path] = (), cache: Path = Path()) -> Source:
    """Open a source of a collection, so that its items have the ids that they have there.

    Parameters
    ----------
    name : str
        One of `metadata.sources`.
    metadata : Metadata
    folders, cache
        Where datasets are, as for `open_source`.

    Raises
    ------
    SourceError
        It is gone, empty or damaged.
    """
    if name in metadata.roots:
        folder = FolderSource(Path(metadata.roots[name]))
        return folder.renamed({folder.name: name})
    return open_dataset(name, folders, cache) if name in NAMES else FolderSource(Path(name)).with_absolute_uris()
