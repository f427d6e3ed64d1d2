"""What every source of images is: named items, each with a way to open its picture.

`Item` is one image on its way in; `Source` is where items come from. The
sources themselves are in digits.py, mnist.py and folder.py; catalogue.py finds
them by name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from cbir.collection.point import Label, Payload, point_id
from cbir.core.errors import CbirError

#: Payload fields of a file: as long as they stay the same, so does its content.
STAMP = ("bytes", "modified")


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
    """

    uri: str
    label: Label | None
    source: str
    open: Callable[[], Image.Image] = field(repr=False)
    content: Callable[[], bytes] | None = field(default=None, repr=False)
    payload: Mapping[str, Any] = field(default_factory=dict)
    location: str = ""

    @property
    def id(self) -> str:
        """Point id: the same image of the same source always has the same id."""
        return point_id(self.source, self.uri)

    @property
    def description(self) -> Payload:
        """All fields of the point that are known without reading the picture."""
        label = {} if self.label is None else {"label": self.label}
        return {**label, "uri": self.uri, "source": self.source, **self.payload}


class Source(Protocol):
    """A named dataset or a folder; `str(source)` is what opens it again: the dataset's name, or the folder's path."""

    @property
    def name(self) -> str:
        """What payloads call it."""
        ...

    @property
    def root(self) -> Path | None:
        """The folder that the items' uris are relative to; None if they are not."""
        ...

    @property
    def passed_over(self) -> int:
        """Number of pictures that this source does not read."""
        ...

    def __len__(self) -> int:
        """Number of items in the database part."""
        ...

    def items(self) -> Iterator[Item]:
        """Yield the images to store, always in the same order."""
        ...

    def queries(self) -> list[Item]:
        """Return the held-out images to evaluate with; empty if the source has none."""
        ...


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
