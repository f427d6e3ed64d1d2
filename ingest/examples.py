"""A source's pictures for an encoder that learns from a stream of them: each is opened once, and its pixels forgotten.

In: a source and its sample. Out: blocks of pixels; and afterwards, what learning
made of each picture, so that the ingest that follows does not decode and encode
it again.
"""

import hashlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.ingest.decode import Inputs, open_items
from cbir.ingest.read import Made, key
from cbir.ingest.sample import Sample
from cbir.ingest.sources.source import Item, Source
from cbir.model.border import background

#: Pictures in a block.
_BLOCK = 64

#: An item, its pixels and its file's SHA-256.
_Opened = tuple[Item, np.ndarray, str | None]


class ExampleStream:
    """The pictures of a source that an encoder learns from.

    Parameters
    ----------
    source : Source
    count : int
        Items of the source that are ingested: the first ones.
    most : int
        Items to learn from; if there are more, some are drawn.
    sample : Sample
        Pictures that were opened before.
    progress : Progress
        Stage `read`.
    """

    def __init__(self, source: Source, count: int, most: int, sample: Sample, progress: Progress = silent) -> None:
        self._source = source
        self._sample = sample
        self._progress = progress
        self._count = count
        self._chosen = range(count) if count <= most else _drawn(count, most)
        self._digest = hashlib.sha256()
        self._seen: list[tuple[str, float, str | None]] = []

    @property
    def read(self) -> int:
        """Number of pictures that were read until now."""
        return len(self._seen)

    def blocks(self) -> Generator[np.ndarray, None, None]:
        """Yield the pixels of the pictures that can be read, uint8 (k, h, w, c), in the items' order."""
        total = len(self._chosen)
        gathered: list[_Opened] = []
        with closing(self._opened()) as opened:
            for done, found in enumerate(opened, 1):
                gathered += [] if found is None else [found]
                if len(gathered) >= _BLOCK:
                    yield self._noted(gathered)
                    gathered = []
                    self._progress("read", done, total)
            if gathered:
                yield self._noted(gathered)
            self._progress("read", total, total)

    @property
    def digest(self) -> str:
        """SHA-256 of all pixels, 64 hexadecimal digits."""
        return self._digest.hexdigest()

    def made(self, features: np.ndarray | None) -> dict[str, Made]:
        """Return `key` of pictures with the features, (n, d), that learning made of them; empty if there are none."""
        rows: Iterable[np.ndarray] = () if features is None else features
        return {
            picture: Made(feature, brightness, sha256)
            for (picture, brightness, sha256), feature in zip(self._seen, rows, strict=features is not None)
        }

    def _opened(self) -> Generator[_Opened | None, None, None]:
        """Yield each chosen item with its pixels, None for one that cannot be read."""
        preprocessing, known = self._sample.preprocessing, self._sample.pixels
        with closing(open_items(self._numbered(), Inputs.only(preprocessing), known=known)) as opened:
            for number, item, found in opened:
                if found is None:
                    pixels, sha256 = known[number], self._sample.hashes.get(number)
                else:
                    pixels, sha256 = found.pixels(preprocessing), found.sha256
                yield None if pixels is None else (item, pixels, sha256)

    def _numbered(self) -> Iterator[tuple[int, Item]]:
        return (each for each in enumerate(islice(self._source.items(), self._count)) if each[0] in self._chosen)

    def _noted(self, gathered: list[_Opened]) -> np.ndarray:
        pixels = np.stack([each for _, each, _ in gathered])
        self._digest.update(pixels.data)
        for (item, _, sha256), brightness in zip(gathered, background(pixels), strict=True):
            self._seen.append((key(item, sha256), float(brightness), sha256))
        return pixels


def _drawn(count: int, most: int) -> frozenset[int]:
    """Draw some of the numbers below `count`, always the same ones."""
    return frozenset(np.random.default_rng(0).choice(count, most, replace=False).tolist())
