"""What every source of images is: named items, each with a way to open its picture.

`Item` is one image on its way in; `Source` is where items come from. The
sources themselves are in digits.py, mnist.py and folder.py; catalogue.py finds
them by name.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from PIL import Image

from cbir.collection.point import Label, Payload
from cbir.core.errors import CbirError
from cbir.core.words import in_singular
from cbir.model.errors import ImageError

#: Payload fields of a file: its size, time of change, inode and time of its inode's change (both times in nanoseconds).
#: As long as they all stay the same, so does its content. A field that was not stored does not count.
STAMP = ("bytes", "modified", "inode", "changed")
#: The most names that say what a `LeftOut` is about.
EXAMPLES = 3

_UNSIGNED, _SIGN = (1 << 64) - 1, 1 << 63


class SourceError(CbirError):
    """A source that is missing, empty, damaged or not what its name says."""


@dataclass(frozen=True)
class Item:
    """One image of a source.

    Attributes
    ----------
    uri : str
        Where the image is: a path relative to the source's root, or `dataset:part/index`.
    label : int, str or None
    source : str
        The source's name.
    open : callable
        Returns the picture; raises ImageError if it cannot be read.
    content : callable or None
        Returns the bytes of the picture's file, for `decode` and for a hash; raises ImageError if it cannot be
        read. None if the picture is not a file.
    payload : Mapping
        Fields of the point besides `label`, `uri` and `source`; those of `STAMP` for a file.
    location : str
        Where the picture is, for messages; by default the uri.
    described : bool
        Whether label and payload are all that the source's root says of it. If not, as in a list of files, what is
        stored stays.
    """

    uri: str
    label: Label | None
    source: str
    open: Callable[[], Image.Image] = field(repr=False)
    content: Callable[[], bytes] | None = field(default=None, repr=False)
    payload: Mapping[str, Any] = field(default_factory=dict)
    location: str = ""
    described: bool = True

    @property
    def place(self) -> tuple[str, str]:
        """Where the picture is: its source and its uri, which no other item has."""
        return self.source, self.uri

    @property
    def description(self) -> Payload:
        """All fields of the point that are known without reading the picture."""
        label = {} if self.label is None else {"label": self.label}
        return {**label, "uri": self.uri, "source": self.source, **self.payload}


@dataclass(frozen=True)
class LeftOut:
    """Files or folders that a source does not take, for one reason.

    Attributes
    ----------
    reason : str
        Why, as it follows a number greater than one: `hidden`, `not pictures (.txt, .mp4)`.
    count : int
        How many; a folder whose contents were not looked at is one.
    examples : tuple of str
        Uris of at most `EXAMPLES` of them.
    hint : str
        What to do in order to take them, for a message; empty if nothing helps.
    """

    reason: str
    count: int
    examples: tuple[str, ...] = ()
    hint: str = ""

    def __str__(self) -> str:
        """Say all but the examples: `1 link that leads out of the folder; --follow takes it`."""
        return self.told("; ")

    def told(self, separator: str = "") -> str:
        """Say how many, and why; with a separator, also the hint behind it."""
        one = self.count == 1
        said = f"{self.count:,} {in_singular(self.reason) if one else self.reason}"
        hint = re.sub(r"\bthem\b", "it", self.hint) if one else self.hint
        return f"{said}{separator}{hint}" if separator and hint else said


class Source(Protocol):
    """A named dataset, a folder, an archive, a list, or several of them.

    `str(source)` is what opens it again: the dataset's name, or the folder's path. A class that inherits from this one
    has the answers of a dataset: it has no root, and everything that it has is listed.
    """

    @property
    def name(self) -> str:
        """What a message calls it, and its collection, if that is not named."""
        ...

    @property
    def roots(self) -> Mapping[str, str]:
        """Every source name that its items have, to the absolute path that their uris are relative to.

        Empty for a dataset.
        """
        return {}

    @property
    def choices(self) -> Mapping[str, Mapping[str, Any]]:
        """What was chosen of each root that was listed, as `Choice.described` has it; empty for a dataset."""
        return {}

    @property
    def names(self) -> Sequence[str]:
        """Every source name that its items have, those without a root included."""
        return list(self.roots) or [self.name]

    @property
    def complete(self) -> bool:
        """Whether a stored place of these roots that is not among the items is gone; not so for a list of files."""
        return True

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """What is not taken, a reason each; known once the source is open."""
        return ()

    @property
    def problems(self) -> Iterable[tuple[str, str]]:
        """Uri and reason of each picture or folder that could not be listed; the reason names it."""
        return ()

    @property
    def unlisted(self) -> Sequence[tuple[str, str]]:
        """Source name and uri of what was not looked into, such as a folder that cannot be listed.

        Stored places at these uris and below them are not gone.
        """
        return ()

    @property
    def found(self) -> int:
        """Number of all that was met: items, what is left out, and problems."""
        return len(self) + sum(left.count for left in self.left_out) + sum(1 for _ in self.problems)

    def __len__(self) -> int:
        """Number of items in the database part."""
        ...

    def count(self, name: str) -> int:  # noqa: ARG002 - most have one name
        """Return the number of items that have one of `names`, or of all, where that takes no counting."""
        return len(self)

    def items(self) -> Iterator[Item]:
        """Yield the images to store, always in the same order; memory does not grow with their number."""
        ...

    def queries(self) -> list[Item]:
        """Return the held-out images to evaluate with; empty if the source has none."""
        ...

    def renamed(self, names: Mapping[str, str]) -> "Source":  # noqa: ARG002 - a dataset has no use for it
        """Return the same source with other names for its roots; a dataset has none, and returns itself.

        Parameters
        ----------
        names : Mapping
            Keys of `roots` to their new names; a root that is not in it keeps its name.
        """
        return self

    def limited(self, count: int) -> "Source":
        """Return the same source with at most `count` of its items: a fair sample, in the same order.

        A larger sample has all of a smaller one.
        """
        return self if count >= len(self) else FirstItems(self, count)


class FirstItems(Source):
    """The first items of a source, whose order is a fair one."""

    def __init__(self, source: Source, count: int) -> None:
        self._source = source
        self._count = count

    def __str__(self) -> str:
        return str(self._source)

    @property
    def name(self) -> str:
        """The source's."""
        return self._source.name

    @property
    def roots(self) -> Mapping[str, str]:
        """The source's."""
        return self._source.roots

    @property
    def choices(self) -> Mapping[str, Mapping[str, Any]]:
        """The source's."""
        return self._source.choices

    @property
    def names(self) -> Sequence[str]:
        """The source's."""
        return self._source.names

    @property
    def complete(self) -> bool:
        """It is not."""
        return False

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """What the source leaves out, and the other items."""
        return (*self._source.left_out, LeftOut("beyond the limit", len(self._source) - self._count))

    @property
    def problems(self) -> Iterable[tuple[str, str]]:
        """The source's."""
        return self._source.problems

    @property
    def unlisted(self) -> Sequence[tuple[str, str]]:
        """The source's."""
        return self._source.unlisted

    def __len__(self) -> int:
        return self._count

    def items(self) -> Iterator[Item]:
        """Yield the first items."""
        return islice(self._source.items(), self._count)

    def queries(self) -> list[Item]:
        """Return all of the source's."""
        return self._source.queries()

    def renamed(self, names: Mapping[str, str]) -> Source:
        """Return the same items under other names."""
        return FirstItems(self._source.renamed(names), self._count)


def stamp_of(status: os.stat_result) -> tuple[int, int, int, int]:
    """Return a file's values of `STAMP`.

    Payloads and SQLite hold signed numbers of 64 bits; some file systems have inodes beyond (mergerfs, sshfs), and
    nanoseconds since 1970 are that many after the year 2262.
    """
    inode = status.st_ino & _UNSIGNED
    modified, changed = (max(-_SIGN, min(_SIGN - 1, time)) for time in (status.st_mtime_ns, status.st_ctime_ns))
    return status.st_size, modified, inode - ((inode & _SIGN) << 1), changed


def limited(source: Source, limit: int | None) -> Source:
    """Return a source with no more items than a limit, if there is one; see `Source.limited`.

    Raises
    ------
    SourceError
        The limit is less than 1.
    """
    return source if limit is None else source.limited(items_to_take(source, limit))


def nothing_to_read(source: Source, count: int) -> str:
    """Return why nothing came of `count` items of a source, in words: if reading the first one tells it, with that."""
    if not count:
        return f"{source} holds no pictures"
    reason = ""
    for item in islice(source.items(), 1):
        try:
            if item.content is not None:
                item.content()  # not decoded: worker processes do that, as it may crash
        except ImageError as error:
            reason = f" ({'the first: ' if count > 1 else ''}{error})"
    if count == 1:
        return f"the only picture of {source} cannot be read{reason}"
    return f"none of the {count:,} pictures of {source} can be read{reason}"


def items_to_take(source: Source, limit: int | None) -> int:
    """Return how many items of a source are taken, of which there is a limit or none.

    Raises
    ------
    SourceError
        The limit is less than 1.
    """
    if limit is not None and limit < 1:
        raise SourceError(f"limit must be at least 1, not {limit}")
    return len(source) if limit is None else min(len(source), limit)
