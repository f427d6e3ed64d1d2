"""Items become pixels, a few batches ahead of whoever takes them.

In: items. Out: batches of uint8 pixels in the items' order. A picture that
cannot be read does not stop the run: it is handed on with its reason.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from cbir.ingest.sources.source import Item
from cbir.model.errors import ImageError
from cbir.model.preprocessing import Preprocessing

#: Images a batch: Qdrant takes some hundred points at a time best.
BATCH = 256
_AHEAD = 4


@dataclass(frozen=True)
class Batch:
    """Items with `pixels` (n, h, w, c) uint8, and those `unreadable`, each with the reason."""

    items: list[Item]
    pixels: np.ndarray
    unreadable: list[tuple[Item, str]]


def read(items: Iterable[Item], preprocessing: Preprocessing, *, size: int = BATCH) -> Iterator[Batch]:
    """Open and preprocess items in threads (Pillow decodes without Python's lock).

    Parameters
    ----------
    items : iterable of Item
    preprocessing : Preprocessing
    size : int
        Items a batch.

    Yields
    ------
    Batch
    """
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        waiting: deque[Future[Batch]] = deque()
        upcoming = iter(items)
        while batch := list(islice(upcoming, size)):
            waiting.append(pool.submit(_read_batch, batch, preprocessing))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read_batch(batch: Iterable[Item], preprocessing: Preprocessing) -> Batch:
    items, pixels, unreadable = [], [], []
    for item in batch:
        try:
            pixels.append(preprocessing.pixels(item.open()))
            items.append(item)
        except ImageError as error:
            unreadable.append((item, str(error)))
    stack = np.stack(pixels) if pixels else np.empty((0, *preprocessing.shape), np.uint8)
    return Batch(items, stack, unreadable)
