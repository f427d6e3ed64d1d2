"""What travels between the machines of an ingest: some items, and what became of them.

In: a `Parcel`, a `Done` or a `Trouble`. Out: bytes, which a row of Ray's tables holds in the column `COLUMN`.
"""

import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cbir.collection.point import Payload
from cbir.ingest.encode import Encoded
from cbir.ingest.read import Batch
from cbir.ingest.sources.source import Item

#: The only column of the tables.
COLUMN = "parcel"

#: A batch without items.
EMPTY = Batch([], np.empty(0, np.uint8), {}, [], [], [])

_Place = tuple[str, str]


@dataclass(frozen=True)
class Parcel:
    """Items to read, or what reading some of them gave.

    Attributes
    ----------
    numbers : Mapping
        Places of the items to their numbers.
    before : Mapping
        Places to the payload of what was stored there, where that is another content.
    items : list of Item
        To read.
    batch : Batch
        Read.
    """

    numbers: Mapping[_Place, int]
    before: Mapping[_Place, Payload]
    items: list[Item] = field(default_factory=list)
    batch: Batch = EMPTY

    def read(self, batch: Batch) -> "Parcel":
        """Return the part of it that is in a batch."""
        items = (*(b.item for b in batch.fresh), *(b.item for b in batch.known), *(b.item for b in batch.failed))
        places = [item.place for item in items]
        before = {place: self.before[place] for place in places if place in self.before}
        return Parcel({place: self.numbers[place] for place in places}, before, batch=batch)


@dataclass(frozen=True)
class Done:
    """What became of items: new contents are stored, all others are left to the driver.

    Attributes
    ----------
    numbers : Mapping
        Places of the items to their numbers.
    encoded : Encoded
        Without pixels and features.
    upsert_seconds : float
    """

    numbers: Mapping[_Place, int]
    encoded: Encoded
    upsert_seconds: float

    @classmethod
    def of(cls, parcel: Parcel, encoded: Encoded, seconds: float) -> "Done":
        """Return what the driver needs to know about an encoded batch that is stored."""
        batch = replace(encoded.batch, pixels=np.empty(0, np.uint8), made={})
        return cls(parcel.numbers, replace(encoded, batch=batch, features=np.empty((0, 0), np.float32)), seconds)


@dataclass(frozen=True)
class Trouble:
    """Why a worker cannot go on: a sentence for people."""

    message: str


def packed(contents: Iterable[Parcel | Done | Trouble]) -> dict[str, list[bytes]]:
    """Return columns of a table."""
    return {COLUMN: [pickle.dumps(each, pickle.HIGHEST_PROTOCOL) for each in contents]}


def unpacked(columns: Mapping[str, Iterable[Any]]) -> Iterator[Any]:
    """Yield what `packed` was given; from our own workers, never from elsewhere."""
    return (pickle.loads(each) for each in columns[COLUMN])  # noqa: S301
