"""All points of a collection, as an evaluation asks of them: which they are, of which class, and where they lie.

In: a searcher. Out: numbers in arrays, the features in a temporary file; nothing of what is stored is held as Python
objects, and one page is in memory at a time. A million points of 128 values take 20 MB, and 0.5 GB of disk.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cbir.collection.interface import Collection
from cbir.collection.point import Label, Payload, label_of, raw_ids
from cbir.core.progress import Progress
from cbir.core.workers import batched
from cbir.evaluate.features import Features
from cbir.evaluate.labels import require_images
from cbir.search.searcher import Searcher

#: Ids in a request.
_MOST_IDS = 1_000


@dataclass(frozen=True)
class Database:
    """All points of a collection, in the order of their ids.

    Attributes
    ----------
    ids : ndarray of uint8, shape (n, 16)
    classes : ndarray of int32, shape (n,)
        Number of each label; -1 of what has none.
    numbers : Mapping
        Text of a label to its number: a dataset's 7 and a folder's "7" are the same class, as for the command line's
        --label.
    features : Features
    """

    ids: np.ndarray
    classes: np.ndarray
    numbers: Mapping[str, int]
    features: Features

    def __len__(self) -> int:
        return len(self.ids)

    def classes_of(self, labels: Iterable[Label | None]) -> np.ndarray:
        """Return the classes of queries, (m,) int32; what has no label, or none that is stored, is of no class."""
        return np.array([-2 if label is None else self.numbers.get(str(label), -2) for label in labels], np.int32)

    def close(self) -> None:
        """Remove the features' file."""
        self.features.close()


def payloads_of(collection: Collection, ids: Sequence[str]) -> list[Payload]:
    """Return the payloads of points, in some requests; empty where a point is not stored any more."""
    found: dict[str, Payload] = {}
    for some in batched(ids, _MOST_IDS):
        found |= collection.payloads(some)
    return [found.get(each, {}) for each in ids]


def load(searcher: Searcher, progress: Progress) -> Database:
    """Read all points: exact ranks come from them, not from searches of huge depth.

    Parameters
    ----------
    searcher : Searcher
    progress : Progress
        Stage `load`.

    Returns
    -------
    Database
        To be closed.

    Raises
    ------
    CbirError
        Nothing is stored, or no disk is left.
    """
    total = require_images(searcher)
    numbers: dict[str, int] = {}
    ids, classes = [], []
    features = Features(searcher.metadata.dimension)
    try:
        for page in searcher.collection.scroll(fields=("label",)):
            ids.append(raw_ids(page.ids))
            labels = map(label_of, page.payloads)
            found = [-1 if label is None else numbers.setdefault(str(label), len(numbers)) for label in labels]
            classes.append(np.array(found, np.int32))
            features.append(page.vectors)
            progress("load", len(features), total)
    except BaseException:
        features.close()
        raise
    return Database(np.concatenate(ids), np.concatenate(classes), numbers, features)
