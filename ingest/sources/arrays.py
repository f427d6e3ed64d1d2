"""Datasets that are arrays in memory: a database part and a held-out query part.

In: uint8 pixels and labels, part by part. Out: a source. The bundled digits
and the MNIST family are both of this kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from cbir.ingest.sources.source import Item, Source, SourceError


@dataclass(frozen=True)
class Part:
    """`images` (n, h, w) uint8 and `labels` (n,) of whole numbers."""

    images: np.ndarray
    labels: np.ndarray


class ArraySource(Source):
    """A source over two arrays.

    Parameters
    ----------
    name : str
    parts : dict of str to Part
        Database part first, query part second; the keys appear in the uris.
    """

    def __init__(self, name: str, parts: dict[str, Part]) -> None:
        self._name = name
        self._parts = parts
        self._database, self._queries = parts

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The dataset's."""
        return self._name

    def __len__(self) -> int:
        return len(self._parts[self._database].images)

    def items(self) -> Iterator[Item]:
        """Yield the database part."""
        return self._items(self._database)

    def queries(self) -> list[Item]:
        """Return the held-out part."""
        return list(self._items(self._queries))

    def picture(self, uri: str) -> Image.Image:
        """Open `name:part/index`."""
        try:
            part, index = uri.removeprefix(f"{self.name}:").split("/")
            images = self._parts[part].images
            if not 0 <= int(index) < len(images):
                raise KeyError
            return Image.fromarray(images[int(index)])
        except (KeyError, ValueError):
            have = " or ".join(f"{self.name}:{n}/0 to {len(p.images) - 1}" for n, p in self._parts.items())
            raise SourceError(f"unknown image {uri}; the images are {have}") from None

    def _items(self, name: str) -> Iterator[Item]:
        part = self._parts[name]
        height, width = part.images.shape[1:]
        for index, label in enumerate(part.labels.tolist()):
            yield Item(
                uri=f"{self.name}:{name}/{index}",
                label=label,
                source=self.name,
                open=partial(Image.fromarray, part.images[index]),
                payload={"index": index, "width": width, "height": height},
            )
