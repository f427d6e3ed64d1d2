"""What a folder and an archive have in common: one root, a listing on disk, and pictures that may be held back.

A subclass makes the listing and says how a listed file becomes an item; all
that a `Source` is asked for follows from these.
"""

import copy
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from cbir.core.uris import uri_of
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.labels import Labelling
from cbir.ingest.sources.listing import Files, Listed, Listing
from cbir.ingest.sources.source import Item, LeftOut, Source

#: The folders of a root that holds pictures back: what is stored, and what is evaluated with.
DATABASE, QUERIES = b"database", b"queries"


class RootedSource(Source):
    """A source with one root.

    Parameters
    ----------
    root : Path
        Absolute: a folder, or an archive.
    name : str
        The root's.
    listing : Listing
        To be filled by the subclass, which then sets what follows.
    choice : Choice

    Attributes
    ----------
    root : Path
    choice : Choice
        What is taken, and what it is labelled with.
    """

    _files: Files
    _labelling: Labelling
    _held_back: tuple[Files, Labelling] | None
    _unlisted: Sequence[str]

    def __init__(self, root: Path, name: str, listing: Listing, choice: Choice) -> None:
        self.root = root
        self.choice = choice
        self._name = name
        self._listing = listing
        self._complete = True
        self._beyond = 0

    def __str__(self) -> str:
        return str(self.root)

    @property
    def name(self) -> str:
        """The root's, in characters that every system allows, unless it was renamed."""
        return self._name

    @property
    def roots(self) -> Mapping[str, str]:
        """The root."""
        return {self._name: str(self)}

    @property
    def choices(self) -> Mapping[str, Mapping[str, Any]]:
        """The choice."""
        return {self._name: self.choice.described()}

    @abstractmethod
    def chosen(self, choice: Choice) -> Self:
        """Return the same root, listed again by another choice."""

    @property
    def complete(self) -> bool:
        """Whether all pictures of the root are items, but for those that are left out for a reason of their own."""
        return self._complete

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """What is not taken, a reason each."""
        return (*self._listing.tally.left_out, *self._withheld())

    def _withheld(self) -> Iterator[LeftOut]:
        """Yield what could be taken, and is not."""
        if self._held_back is not None and len(self._held_back[0]):
            first = tuple(uri_of(os.fsdecode(file.path)) for file, _ in zip(self._held_back[0], range(1), strict=False))
            yield LeftOut("in queries, held back to evaluate with", len(self._held_back[0]), first)
        if self._beyond:
            yield LeftOut("beyond the limit", self._beyond)

    @property
    def problems(self) -> Iterable[tuple[str, str]]:
        """Uri and reason of what could not be listed."""
        return self._listing.problems

    @property
    def unlisted(self) -> Sequence[tuple[str, str]]:
        """Name and uri of what could not be listed, or not to its end."""
        return [(self._name, uri) for uri in self._unlisted]

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return the same source under another name: its uris are the same."""
        renamed = copy.copy(self)
        renamed._name = names.get(self._name, self._name)
        return renamed

    def limited(self, count: int) -> Self:
        """Return the same source with a fair sample of its pictures: folders take turns."""
        if count >= len(self):
            return self
        limited = copy.copy(self)
        limited._files = self._files.sample(count)
        limited._complete = False
        limited._beyond = self._beyond + len(self) - count
        return limited

    def __len__(self) -> int:
        return len(self._files)

    def items(self) -> Iterator[Item]:
        """Yield the pictures, in the order of the listing."""
        return (self._item(file, self._labelling) for file in self._files)

    def queries(self) -> list[Item]:
        """Return the pictures in the folder `queries`, if they are held back; else all are stored."""
        if self._held_back is None:
            return []
        files, labelling = self._held_back
        return [self._item(file, labelling) for file in files]

    @abstractmethod
    def _item(self, file: Listed, labelling: Labelling) -> Item:
        """Return the item of a listed file."""
