"""A folder of pictures, walked to its bottom.

In: a path, and a choice of what is taken. Out: a source whose uris are relative
to the folder, so that it can be moved. Where the folder holds only folders of
pictures, these are classes. Pictures in a folder `queries` beside a folder
`database`, and nowhere else, are held back to evaluate with.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Self

from cbir.core.disk import expanded
from cbir.core.names import made_name
from cbir.core.progress import Progress, silent
from cbir.core.uris import folder_and_name, shown, uri_of
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.labels import Labelling, Labels
from cbir.ingest.sources.listing import Files, Listed, Listing
from cbir.ingest.sources.rooted import DATABASE, QUERIES, RootedSource
from cbir.ingest.sources.source import STAMP, Item, SourceError, stamp_of
from cbir.ingest.sources.walk import walk
from cbir.model.picture import open_image, read_file


class FolderSource(RootedSource):
    """A source over the picture files of a folder.

    Parameters
    ----------
    path : Path
    choice : Choice
        What is taken, and what it is labelled with.
    may_be_empty : bool
        Whether there may be no picture in it.
    progress : Progress
        Stage `list`.

    Raises
    ------
    SourceError
        No folder, or no picture in it; or a table of labels that is missing or damaged.
    OptionError
        A pattern of the choice that is none.
    """

    def __init__(
        self, path: Path, choice: Choice | None = None, *, may_be_empty: bool = False, progress: Progress = silent
    ) -> None:
        choice = choice or Choice()
        try:
            root = expanded(path).resolve()
        except (OSError, RuntimeError) as error:  # links in a circle, no home folder
            raise SourceError(f"{shown(str(path))} cannot be read: {error}") from None
        super().__init__(root, folder_name(root), Listing(), choice)
        self._prefix = f"{str(root).rstrip(os.sep)}{os.sep}"
        self._absolute_uris = False
        self._listed_by = may_be_empty, progress
        try:
            self._unlisted = walk(str(self.root), choice, self._listing, progress=progress)
        except OSError as error:
            raise SourceError(f"{shown(str(self.root))} cannot be read: {error.strerror or error}") from None
        everything = self._listing.files
        held_back = self._holds_back(everything)
        self._files = everything.within(DATABASE) if held_back else everything
        if not len(self._files) and not may_be_empty:
            place = self.root / "database" if held_back else self.root
            raise SourceError(f"{shown(str(place))} holds no pictures{self._left_out_text()}")
        labels = Labels(choice.labels, self._listing, str(self.root))
        self._labelling = labels.of(self._files, DATABASE if held_back else b"")
        queries = everything.within(QUERIES)
        self._held_back = (queries, labels.of(queries, QUERIES)) if held_back and len(queries) else None

    @property
    def roots(self) -> Mapping[str, str]:
        """The folder, absolute; none if the uris are absolute themselves."""
        return {} if self._absolute_uris else super().roots

    def chosen(self, choice: Choice) -> Self:
        """Return the same folder, listed again by another choice."""
        may_be_empty, progress = self._listed_by
        return type(self)(self.root, choice, may_be_empty=may_be_empty, progress=progress)

    def with_absolute_uris(self) -> Self:
        """Return the same source as collections of format 1 hold it: its name is its path, its uris are paths."""
        changed = self.renamed({self._name: str(self.root)})
        changed._absolute_uris = True
        return changed

    def paths(self) -> Iterator[Path]:
        """Yield the files of the pictures, in the order of `items`, without looking at them."""
        return (Path(self._path(file)) for file in self._files)

    def _item(self, file: Listed, labelling: Labelling) -> Item:
        path, uri, folder, name = self._place(file)
        label, columns = labelling(file)
        return Item(
            uri=uri,
            label=label,
            source=self._name,
            open=partial(open_image, path),
            content=partial(read_file, path),
            payload={**columns, "folder": folder, "name": name, **_stamp(path)},
            location=path,
        )

    def _place(self, file: Listed) -> tuple[str, str, str, str]:
        """Return path, uri, folder and name of a file; a million files take seconds, so most take a short way."""
        folder = _plain_folder(file.folder)
        if folder is not None and not self._absolute_uris:
            with suppress(UnicodeDecodeError):
                name = file.name.decode()
                uri = f"{folder}/{name}"
                return f"{self._prefix}{uri}", uri, folder, name
        uri = self._uri(file)
        return self._path(file), uri, *folder_and_name(uri)

    def _path(self, file: Listed) -> str:
        return os.path.join(self.root, os.fsdecode(file.path))  # noqa: PTH118 - paths take ten times as long

    def _uri(self, file: Listed) -> str:
        return self._path(file) if self._absolute_uris else uri_of(os.fsdecode(file.path))

    def _holds_back(self, files: Files) -> bool:
        """Return whether there are the folders `database` and `queries`, and all pictures are in them."""
        both = self._listing.has_folder(DATABASE) and self._listing.has_folder(QUERIES)
        return both and len(files.within(DATABASE, QUERIES)) == len(files)

    def _left_out_text(self) -> str:
        """Return what was left out instead, for the message about a folder without a picture."""
        told = [left.told(", ") for left in self._listing.tally.left_out]
        told += [reason for _, (_, reason) in zip(range(3), self.problems, strict=False)]
        return f". Left out: {shown('; '.join(told))}" if told else ""


def folder_name(path: Path) -> str:
    """Return the name of a folder's source and collection: the folder's, in characters that every system allows."""
    return made_name(path.name)


@lru_cache(maxsize=64)
def _plain_folder(folder: bytes) -> str | None:
    """Return the uri of a folder if those of the files in it are just that and their names; else None."""
    if sys.getfilesystemencoding() != "utf-8" or os.sep != "/":
        return None
    uri = uri_of(os.fsdecode(folder))
    return uri if uri and uri.encode() == folder else None


def _stamp(path: str) -> dict[str, int]:
    """Return the fields of `STAMP`; none if the file is gone."""
    try:
        status = os.stat(path)  # noqa: PTH116 - paths take three times as long
    except OSError:
        return {}
    return dict(zip(STAMP, stamp_of(status), strict=True))
