"""The names that a collection knows its sources by.

A dataset has its own name everywhere. A folder has a short name, and its path
stands once in the collection's metadata (`roots`), so that it can be moved and
nothing has to be stored again. Collections of format 1 know a folder by its
absolute path, and continue to do so.
"""

import itertools
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cbir.collection.errors import CollectionError
from cbir.collection.metadata import Metadata
from cbir.core.objects import is_object
from cbir.core.options import OptionError
from cbir.core.uris import is_absolute
from cbir.ingest.sources.archive import ArchiveSource
from cbir.ingest.sources.bucket import BucketSource
from cbir.ingest.sources.catalogue import NAMES, open_dataset, open_source
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.listed import ADDRESSES, FILES, ListedSource
from cbir.ingest.sources.several import SeveralSources
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
        A folder or an archive that the collection holds has the same name as before, also when it has moved, whatever
        it is called now: there is a root whose path no longer exists. A folder in or around one of format 1 has
        absolute uris as well, so that no picture is stored twice. Any other takes a `new_name`. Files that were listed
        one by one belong to the root that they lie in. Of several sources, each is known by itself.
    """
    if not isinstance(source, SeveralSources):
        return _known_as(source, metadata, has_moved, {*metadata.sources, *metadata.roots})
    parts: list[Source] = []
    for part in source.parts:
        others = [name for known in parts for name in known.names]
        rest = replace(metadata, roots={name: path for name, path in metadata.roots.items() if name not in others})
        parts.append(_known_as(part, rest, has_moved, {*metadata.sources, *metadata.roots, *others}))
    return SeveralSources(parts)


def _known_as(
    source: Source, metadata: Metadata, has_moved: Callable[[Source], bool], taken: Collection[str]
) -> Source:
    if isinstance(source, ListedSource):
        return _listed_as(source, metadata)
    if not isinstance(source, (FolderSource, ArchiveSource)):
        return source
    nested = any(_nested(source.root, Path(name)) for name in metadata.sources if is_absolute(name))
    if isinstance(source, FolderSource) and nested:
        return source.with_absolute_uris()
    for name, path in metadata.roots.items():
        if path == str(source):
            return source.renamed({source.name: name})
    gone = [name for name, path in metadata.roots.items() if not is_object(path) and not Path(path).exists()]
    if is_object(str(source)):
        gone = []
    for name in sorted(gone, key=lambda name: name != source.name):  # its own name first
        renamed = source.renamed({source.name: name})
        if has_moved(renamed):
            return renamed
    return new_name(source, taken)


def _listed_as(source: ListedSource, metadata: Metadata) -> Source:
    """Return a list whose files belong to the collection's roots where they lie in one."""
    top = Path(os.sep).absolute()
    known = next((name for name, path in metadata.roots.items() if Path(path) == top), None)
    used = {*NAMES, *metadata.roots}
    names = {
        FILES: known or next(_numbered(FILES, used)),
        # Addresses have no root; so a root of that name is a folder.
        ADDRESSES: next(_numbered(ADDRESSES, used)),
    }
    folders = {name: path for name, path in metadata.roots.items() if name != known}
    return source.renamed(names).rooted(folders)


def named_whole(source: Source) -> set[str]:
    """Return those names of a source that it was named by itself: not the roots that a list has some files of."""
    if isinstance(source, SeveralSources):
        return set().union(*map(named_whole, source.parts))
    return set(source.own_names if isinstance(source, ListedSource) else source.names)


def overlapping(source: Source, metadata: Metadata) -> str | None:
    """Return the path of another stored folder that has pictures in common with a new one; None if there is none.

    Parameters
    ----------
    source : Source
        Under the name that the collection will know it by.
    metadata : Metadata
        The collection's.
    """
    if isinstance(source, SeveralSources):
        return next(filter(None, (overlapping(part, metadata) for part in source.parts)), None)
    if not isinstance(source, FolderSource) or str(source.root) in metadata.roots.values():
        return None
    pictures = None
    for name, path in metadata.roots.items():
        other = Path(path)
        if name != source.name and other.parent != other and other.is_dir() and _nested(source.root, other):
            pictures = pictures or set(source.paths())
            with suppress(SourceError):
                if not pictures.isdisjoint(FolderSource(other).paths()):
                    return path
    return None


def _nested(one: Path, other: Path) -> bool:
    """Return whether two folders are the same, or one is in the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def new_name(source: Source, taken: Collection[str] = ()) -> Source:
    """Return a folder under the first of its own name, `name-2`, `name-3`, ... that is not taken and no dataset's.

    The same goes for an archive, and for each of several; a dataset and a list keep their names.
    """
    used = {*NAMES, *taken}
    if isinstance(source, SeveralSources):
        parts: list[Source] = []
        for part in source.parts:
            parts.append(new_name(part, used))
            used.update(parts[-1].names)
        return SeveralSources(parts)
    if not isinstance(source, (FolderSource, ArchiveSource)):
        return source
    return source.renamed({source.name: next(_numbered(source.name, used))})


def _numbered(name: str, used: Collection[str]) -> Iterator[str]:
    """Yield those of a name, `name-2`, `name-3`, ... that are not used."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return (each for each in names if each not in used)


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
    CollectionError
        What was chosen of it before is no choice.
    """
    if name in metadata.roots:
        path = Path(metadata.roots[name])
        if is_object(metadata.roots[name]):
            bucket = BucketSource(metadata.roots[name], remembered(metadata, name))
            return bucket.renamed({bucket.name: name})
        if path.parent == path:
            raise SourceError("pictures that were listed one by one are in no folder that could be opened")
        source = open_source(str(path), choice=remembered(metadata, name))
        return source.renamed({source.name: name})
    if name in NAMES:
        return open_dataset(name, folders, cache)
    if not is_absolute(name):
        raise SourceError(f"{name} are in no folder that could be opened")
    return FolderSource(Path(name), remembered(metadata, name)).with_absolute_uris()


def remembered(metadata: Metadata, root: str, described: Mapping[str, Any] | None = None) -> Choice:
    """Return what a collection remembers to be chosen of a root, or what is described.

    Raises
    ------
    CollectionError
        It is no choice: another tool has changed it.
    """
    try:
        return Choice.of(metadata.choices.get(root, {}) if described is None else described)
    except OptionError as error:
        place = metadata.place(root)
        raise CollectionError(
            f"what was chosen of {place} at an earlier ingest cannot be used: {error}; "
            "give the options anew: cbir ingest ... --forget-options"
        ) from None
