"""Encoded batches go into a collection, and are counted.

In: a batch and an open collection. Out: what was stored, as a result that can be
added to others. A batch is durable when `store` returns: an ingest can be stopped
at any moment, nothing stored is lost, and the next run continues.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from cbir.collection.interface import Collection
from cbir.ingest.encode import Encoded

#: Mean, standard deviation and number of values.
Statistics = tuple[float, float, int]


@dataclass(frozen=True)
class Stored:
    """What was done with some items.

    Attributes
    ----------
    ingested, updated, unchanged : int
        Points written; points whose payload alone was replaced; points that were there already as they are.
    unreadable : tuple of (uri, reason)
    background : tuple (mean, standard deviation, count) or None
        Median border brightness of the ingested images, in [0, 1].
    encode_seconds, upsert_seconds : float
        Time waited for pixels and features (averaged ones, if they are smoothed), and for Qdrant.
    """

    ingested: int = 0
    updated: int = 0
    unchanged: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    background: Statistics | None = None
    encode_seconds: float = 0.0
    upsert_seconds: float = 0.0

    def __add__(self, other: "Stored") -> "Stored":
        """Return what was done with the items of both."""
        return Stored(
            self.ingested + other.ingested,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.unreadable + other.unreadable,
            merged(self.background, other.background),
            self.encode_seconds + other.encode_seconds,
            self.upsert_seconds + other.upsert_seconds,
        )


def store(batch: Encoded, collection: Collection) -> Stored:
    """Upsert the points of a batch, and replace the payloads of those that are updated."""
    clock = time.perf_counter()
    if batch.updated:
        ids, payloads = zip(*batch.updated, strict=True)
        collection.replace_payloads(ids, payloads)
    if batch.ids:
        collection.upsert(batch.ids, batch.features, batch.payloads)
    return Stored(
        ingested=len(batch.ids),
        updated=len(batch.updated),
        unchanged=batch.unchanged,
        unreadable=tuple(batch.unreadable),
        background=_statistics(batch.brightness),
        upsert_seconds=time.perf_counter() - clock,
    )


def merged(one: Statistics | None, other: Statistics | None) -> Statistics | None:
    """Return the statistics of the values of both."""
    if one is None or other is None:
        return one or other
    count = one[2] + other[2]
    mean = sum(each[0] * each[2] for each in (one, other)) / count
    squares = sum((each[1] ** 2 + each[0] ** 2) * each[2] for each in (one, other)) / count
    return mean, math.sqrt(max(0.0, squares - mean**2)), count


def _statistics(values: np.ndarray) -> Statistics | None:
    values = values.astype(np.float64)
    return (float(values.mean()), float(values.std()), len(values)) if len(values) else None
