"""Database-side augmentation: each image is stored as the average of itself and its nearest.

In: encoded batches, and the collection that they go to. Out: the same batches
with averaged features. Neighbours are searched among the new images and those
stored by then; features stored earlier are not averaged again when images are
added, and queries never are.

P. Turcot, D. G. Lowe: Better matching with fewer features: the selection of
useful features in large database recognition problems. ICCV workshops 2009.
R. Arandjelovic, A. Zisserman: Three things everyone should know to improve
object retrieval. CVPR 2012. Weighted by rank, as A. Gordo, J. Almazan, J. Revaud,
D. Larlus: End-to-end learning of deep visual representations for image
retrieval. IJCV 2017.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from cbir.collection.interface import Collection
from cbir.collection.point import ids_of, raw_ids
from cbir.core.progress import Progress, silent
from cbir.core.workers import batched
from cbir.ingest.encode import Encoded
from cbir.model.average import average

#: Images encoded before they are averaged and stored, and bytes of their features (100,000 of 256 values), whichever
#: is less. A run that is killed loses at most this many.
BLOCK, BLOCK_BYTES = 100_000, 102_400_000
#: Features of a block compared with a page of stored ones at once (32 MB), and ids in a request.
_ROWS, _MOST_IDS = 2_048, 1_000


def smooth(
    batches: Iterable[Encoded], collection: Collection, nearest: int, *, progress: Progress = silent
) -> Iterator[Encoded]:
    """Average each feature with its nearest.

    The neighbours in an empty collection's first block are as they were encoded. Later
    blocks, and what follows an interruption, also have stored neighbours, which are
    averages themselves. The features of a block are held in memory (51 MB for 100,000 of
    128 values); those stored are gone through once for each block, a page at a time.

    Parameters
    ----------
    batches : iterable of Encoded
    collection : Collection
        Only read from. What was yielded has to be stored before the next batch is taken.
    nearest : int
        The feature itself weighs `nearest` + 1, the closest one `nearest`, and so on down to 1.
    progress : Progress
        Stage `smooth`.

    Yields
    ------
    Encoded
    """
    from sklearn.neighbors import NearestNeighbors

    done = 0
    for block in _blocks(batches):
        total = done + sum(len(batch.features) for batch in block)
        if total == done:  # only payloads to replace
            yield from block
            continue
        fresh = np.concatenate([batch.features for batch in block])
        replaced = {one for batch in block for one in batch.ids}
        # All of them before the first is stored: what is stored of this block is no neighbour.
        stored = _Nearest(fresh, nearest + 1)
        for page in collection.scroll(fields=()):
            kept = [row for row, one in enumerate(page.ids) if one not in replaced]
            stored.add([page.ids[row] for row in kept], page.vectors[kept])
            progress("smooth", done, total)
        index = NearestNeighbors(n_neighbors=min(nearest + 1, len(fresh)), algorithm="brute").fit(fresh)
        start = 0
        for batch in block:
            stop = start + len(batch.features)
            if stop == start:
                yield batch
                continue
            around = [
                np.concatenate([fresh[rows], others])
                for rows, others in zip(
                    index.kneighbors(batch.features, return_distance=False),
                    stored.vectors(collection, start, stop),
                    strict=True,
                )
            ]
            pairs = zip(batch.features, around, strict=True)
            yield replace(batch, features=np.stack([_averaged(*pair, nearest + 1) for pair in pairs]))
            start = stop
            done += len(batch.features)
            progress("smooth", done, total)


class _Nearest:
    """The stored points that are nearest to each of (n, d) features; squared distances, and 16 bytes of each id."""

    def __init__(self, features: np.ndarray, count: int) -> None:
        self._features = features
        self._halves = np.einsum("nd,nd->n", features, features) / 2
        self._far = np.full((len(features), count), np.inf, np.float32)
        self._ids = np.zeros((len(features), count, 16), np.uint8)

    def add(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Compare a page of stored points."""
        if not ids:
            return
        raw, halves = raw_ids(ids), np.einsum("nd,nd->n", vectors, vectors) / 2
        count = min(self._far.shape[1], len(ids))
        for start in range(0, len(self._features), _ROWS):
            part = slice(start, start + _ROWS)
            far = self._halves[part, None] + halves - self._features[part] @ vectors.T
            rows = np.flatnonzero((far < self._far[part, -1:]).any(axis=1))
            if not len(rows):
                continue
            far, rows = far[rows], start + rows
            best = np.argpartition(far, count - 1, axis=1)[:, :count]
            distances = np.concatenate([self._far[rows], np.take_along_axis(far, best, axis=1)], axis=1)
            every = np.concatenate([self._ids[rows], raw[best]], axis=1)
            order = np.argsort(distances, axis=1, kind="stable")[:, : self._far.shape[1]]
            self._far[rows] = np.take_along_axis(distances, order, axis=1)
            self._ids[rows] = np.take_along_axis(every, order[..., None], axis=1)

    def vectors(self, collection: Collection, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield the vectors, (k, d), of the points nearest to each of some features, if they are still stored."""
        there = np.isfinite(self._far[start:stop])
        wanted = [ids_of(ids[kept]) for ids, kept in zip(self._ids[start:stop], there, strict=True)]
        found: dict[str, np.ndarray] = {}
        for some in batched(dict.fromkeys(one for each in wanted for one in each), _MOST_IDS):
            found |= collection.vectors(some)
        none = np.empty((0, self._features.shape[1]), np.float32)
        for each in wanted:
            yield np.concatenate([none, *(found[one][None] for one in each if one in found)])


def _averaged(feature: np.ndarray, around: np.ndarray, count: int) -> np.ndarray:
    """Average a feature with the nearest of those around, (k, d), which it is one of: the closest to it is itself."""
    far = np.square(around.astype(np.float64) - feature).sum(axis=1)
    order = np.argsort(far, kind="stable")[:count]
    return average(around[order], np.arange(count, 0, -1)[: len(order)])


def _blocks(batches: Iterable[Encoded]) -> Iterator[list[Encoded]]:
    block: list[Encoded] = []
    for batch in batches:
        block.append(batch)
        features = [each.features for each in block]
        if sum(map(len, features)) >= BLOCK or sum(each.nbytes for each in features) >= BLOCK_BYTES:
            yield block
            block = []
    if block:
        yield block
