"""A source's pictures for an encoder that learns from a stream of them: each is opened once, and its pixels forgotten.

In: a source and its sample. Out: blocks of pixels; and afterwards, what learning
made of each picture, so that the ingest that follows does not decode and encode
it again.
"""

import hashlib
from collections.abc import Generator, Iterable
from contextlib import closing
from functools import partial
from itertools import islice

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.core.workers import batched, ordered_map
from cbir.ingest.read import Made, opened
from cbir.ingest.sample import Sample
from cbir.ingest.sources.source import Item, Source
from cbir.model.border import background
from cbir.model.errors import ImageError

#: Pictures in a block, and those that a thread opens at once.
_BLOCK, _CHUNK = 64, 8
#: Chunks in work or waiting: 19 MB of pixels at 224x224x3.
_AHEAD = 16

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
        chosen, total = set(self._chosen), len(self._chosen)
        numbered = enumerate(islice(self._source.items(), self._count))
        wanted = batched(((number, item) for number, item in numbered if number in chosen), _CHUNK)
        gathered: list[_Opened] = []
        done = 0
        with closing(ordered_map(partial(_open_chunk, self._sample), wanted, ahead=_AHEAD)) as chunks:
            for taken, chunk in chunks:
                gathered += chunk
                done += taken
                if len(gathered) >= _BLOCK:
                    yield self._noted(gathered)
                    gathered = []
                    self._progress("read", done, total)
            if gathered:
                yield self._noted(gathered)
            self._progress("read", done, total)

    @property
    def digest(self) -> str:
        """SHA-256 of all pixels, 64 hexadecimal digits."""
        return self._digest.hexdigest()

    def made(self, features: np.ndarray | None) -> dict[str, Made]:
        """Return ids of items with the features, (n, d), that learning made of them; empty if there are none."""
        rows: Iterable[np.ndarray] = () if features is None else features
        return {
            key: Made(feature, brightness, sha256)
            for (key, brightness, sha256), feature in zip(self._seen, rows, strict=features is not None)
        }

    def _noted(self, gathered: list[_Opened]) -> np.ndarray:
        pixels = np.stack([each for _, each, _ in gathered])
        self._digest.update(pixels.data)
        for (item, _, sha256), brightness in zip(gathered, background(pixels), strict=True):
            self._seen.append((item.id, float(brightness), sha256))
        return pixels


def _drawn(count: int, most: int) -> list[int]:
    """Draw some of the numbers below `count`, always the same ones."""
    return [int(number) for number in np.random.default_rng(0).choice(count, most, replace=False)]


def _open_chunk(sample: Sample, chunk: list[tuple[int, Item]]) -> tuple[int, list[_Opened]]:
    """Return how many items a chunk has, and those that can be read."""
    found: list[_Opened] = []
    for number, item in chunk:
        pixels, sha256 = sample.pixels.get(number), sample.hashes.get(number)
        if pixels is None and number not in sample.pixels:
            try:
                picture, sha256 = opened(item)
                pixels = sample.preprocessing.pixels(picture)
            except ImageError:
                pixels = None
        if pixels is not None:
            found.append((item, pixels, sha256))
    return len(chunk), found
