"""A folder of pictures: flat, or with one level of class folders.

In: a path. Out: a source whose labels are the class folders' names, and whose
uris are relative to the folder, so that it can be moved. Classes take turns, so
that the first n items are a fair sample of all. A folder of exactly the two
folders `database` and `queries`, each of that form, holds the pictures of the
second one back to evaluate with.
"""

import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Self

from cbir.core.uris import uri_of
from cbir.ingest.sources.source import EXAMPLES, STAMP, Item, LeftOut, Source, SourceError, stamp_of
from cbir.model.formats import OTHER_SUFFIXES, SUFFIXES
from cbir.model.picture import open_image, read_file

_DATABASE, _QUERIES = "database", "queries"
#: A picture, and the class folder that it lies in.
_File = tuple[Path, str | None]


class FolderSource(Source):
    """A source over the picture files of a folder.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    root : Path
        The folder, absolute.

    Raises
    ------
    SourceError
        No folder, or no picture in it.
    """

    def __init__(self, path: Path) -> None:
        self.root = path.expanduser().resolve()
        self._name = folder_name(self.root)
        self._absolute_uris = False
        try:
            holds_back = _holds_back(self.root)
            parts = [self.root / _DATABASE, self.root / _QUERIES] if holds_back else [self.root]
            (self._files, passed_over), *held_out = [_list(part) for part in parts]
        except OSError as error:
            raise SourceError(f"{error.filename or self.root} cannot be read: {error.strerror or error}") from None
        self._queries = [file for files, _ in held_out for file in files]
        passed_over += [path for _, others in held_out for path in others]
        self._passed_over = passed_over
        if not self._files:
            others = f"; {len(passed_over)} are in deeper folders or of other formats: name their folder"
            hint = others if passed_over else ""
            raise SourceError(f"{parts[0]} holds no PNG or JPEG pictures{hint}")

    def __str__(self) -> str:
        return str(self.root)

    @property
    def name(self) -> str:
        """The folder's, in characters that every system allows, unless it was renamed."""
        return self._name

    @property
    def roots(self) -> Mapping[str, str]:
        """The folder, absolute; none if the uris are absolute themselves."""
        return {} if self._absolute_uris else {self._name: str(self.root)}

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """Picture files in folders deeper than one level, neither PNG nor JPEG, or with names that are not UTF-8."""
        if not self._passed_over:
            return ()
        examples = tuple(shown.relative_to(self.root).as_posix() for shown in self._passed_over[:EXAMPLES])
        reason = "deeper than one folder level, neither PNG nor JPEG, or with names that are not UTF-8"
        return (LeftOut(reason, len(self._passed_over), examples),)

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return the same source under another name: its uris are the same, its ids are others."""
        renamed = copy.copy(self)
        renamed._name = names.get(self._name, self._name)
        return renamed

    def with_absolute_uris(self) -> Self:
        """Return the same source as collections of format 1 hold it: its name is its path, its uris are paths."""
        changed = self.renamed({self._name: str(self.root)})
        changed._absolute_uris = True
        return changed

    def __len__(self) -> int:
        return len(self._files)

    def items(self) -> Iterator[Item]:
        """Yield the pictures, classes taking turns."""
        return map(self._item, self._files)

    def paths(self) -> Iterator[Path]:
        """Yield the files of the pictures, in the order of `items`, without looking at them."""
        return (path for path, _ in self._files)

    def queries(self) -> list[Item]:
        """Return the pictures of the folder `queries`, if there is one beside `database`; else all are stored."""
        return [self._item(file) for file in self._queries]

    def _item(self, file: _File) -> Item:
        path, label = file
        return Item(
            uri=str(path) if self._absolute_uris else uri_of(path.relative_to(self.root).as_posix()),
            label=label,
            source=self.name,
            open=partial(open_image, path),
            content=partial(read_file, path),
            payload=_stamp(path),
            location=str(path),
        )


def folder_name(path: Path) -> str:
    """Return the name of a folder's source and collection: the folder's, in characters that every system allows."""
    return re.sub(r"[^\w.\- ]+", "-", path.name).strip("-_. ") or "pictures"


def _holds_back(path: Path) -> bool:
    beside = any(_is_picture(p.name, SUFFIXES | OTHER_SUFFIXES) for p in path.iterdir())
    return [folder.name for folder in _folders(path)] == [_DATABASE, _QUERIES] and not beside


def _list(path: Path) -> tuple[list[_File], list[Path]]:
    """Return the pictures, classes taking turns, and those that are passed over."""
    classes = _folders(path)
    groups: list[list[_File]] = [[(file, None) for file in _pictures(path)]]
    groups += [[(file, folder.name) for file in _pictures(folder)] for folder in classes]
    passed_over = [file for folder in classes for file in _below(folder)]
    passed_over += [p for folder in (path, *classes) for p in folder.iterdir() if _is_picture(p.name, OTHER_SUFFIXES)]
    turns = [file for file in chain.from_iterable(zip_longest(*groups)) if file is not None]
    files = [file for file in turns if _can_be_written(file[0])]
    return files, passed_over + [file[0] for file in turns if not _can_be_written(file[0])]


def _folders(path: Path) -> list[Path]:
    return [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if _is_picture(p.name) and not p.is_dir())


def _is_picture(name: str, suffixes: frozenset[str] = SUFFIXES) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in suffixes


def _can_be_written(path: Path) -> bool:
    """Return whether the name is valid text: payloads and JSON hold nothing else."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _below(folder: Path) -> list[Path]:
    deeper = [(root, files) for root, _, files in os.walk(folder) if root != str(folder)]
    return [
        Path(root, name) for root, files in deeper for name in files if _is_picture(name, SUFFIXES | OTHER_SUFFIXES)
    ]


def _stamp(path: Path) -> dict[str, int]:
    """Return the fields of `STAMP`."""
    try:
        status = path.stat()
    except OSError:
        return {}
    return dict(zip(STAMP, stamp_of(status), strict=True))
