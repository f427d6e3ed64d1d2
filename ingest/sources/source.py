"""What every source of images is: named items, each with a way to open its picture.

`Item` is one image on its way in; `Source` is where items come from. The
sources themselves are in digits.py, mnist.py and folder.py; catalogue.py finds
them by name.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

from cbir.collection.point import Label
from cbir.core.errors import CbirError


class SourceError(CbirError):
    """A source that is missing, empty, damaged or not what its name says."""


@dataclass(frozen=True)
class Item:
    """One image of a source.

    Attributes
    ----------
    uri : str
        Where the image is: an absolute path, or `dataset:part/index`.
    label : int, str or None
    open : callable
        Returns the picture; raises ImageError if it cannot be read.
    payload : Mapping
        What the source adds to the point. Stored values that differ from these
        tell that the image has changed since.
    """

    uri: str
    label: Label | None
    open: Callable[[], Image.Image] = field(repr=False)
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Point id: the same uri has the same id, always."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.uri))


class Source(Protocol):
    """A named dataset or a folder."""

    @property
    def name(self) -> str:
        """What payloads call it, and what opens it again."""
        ...

    @property
    def passed_over(self) -> int:
        """Number of pictures that lie where this source does not look."""
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

    def picture(self, uri: str) -> Image.Image:
        """Open the picture that a stored uri names."""
        ...
