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

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from cbir.collection.interface import Collection
from cbir.core.progress import Progress, silent
from cbir.ingest.encode import Encoded
from cbir.model.average import average

#: Images encoded before they are averaged and stored. A run that is killed loses at most this many.
BLOCK = 100_000


def smooth(
    batches: Iterable[Encoded], collection: Collection, nearest: int, *, progress: Progress = silent
) -> Iterator[Encoded]:
    """Average each feature with its nearest.

    The neighbours in an empty collection's first block are as they were encoded. Later
    blocks, and what follows an interruption, also have stored neighbours, which are
    averages themselves. The features of a block and those stored are held in memory
    (31 MB for 60,000 of 128 values).

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
        everything = np.concatenate([_stored(collection, block), *(batch.features for batch in block)])
        weights = np.arange(nearest + 1, 0, -1)[: len(everything)]
        index = NearestNeighbors(n_neighbors=len(weights), algorithm="brute").fit(everything)
        for batch in block:
            if not len(batch.features):
                yield batch
                continue
            # The closest of all to a feature is that feature itself.
            around = index.kneighbors(batch.features, return_distance=False)
            yield replace(batch, features=average(everything[around], weights))
            done += len(batch.features)
            progress("smooth", done, total)


def _blocks(batches: Iterable[Encoded]) -> Iterator[list[Encoded]]:
    block: list[Encoded] = []
    for batch in batches:
        block.append(batch)
        if sum(len(b.features) for b in block) >= BLOCK:
            yield block
            block = []
    if block:
        yield block


def _stored(collection: Collection, block: list[Encoded]) -> np.ndarray:
    """Return the stored features, (n, d), without those that the block replaces."""
    replaced = {one for batch in block for one in batch.ids}
    none = np.empty((0, collection.metadata.dimension), np.float32)
    pages = (page.vectors[[i not in replaced for i in page.ids]] for page in collection.scroll(fields=()))
    return np.concatenate([none, *pages])
