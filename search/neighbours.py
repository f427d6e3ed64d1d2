"""The questions that the steps around a search ask of the stored points, wherever those are.

`Neighbours` is the protocol. A collection answers it through
`CollectionNeighbours`, an evaluation through its features in memory
(`cbir.evaluate.ranking`), so that each step is written once.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from cbir.collection.filter import Where
from cbir.collection.interface import Collection
from cbir.collection.point import Hit
from cbir.core.workers import batched

#: Ids in a request: those of fifty re-ranked queries. 128 values each, as JSON from a server, are some 15 MB.
_MOST_IDS = 10_000

#: What names a point: its id, or its row.
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Ranking(Generic[Key]):
    """One query's points, best first.

    Attributes
    ----------
    keys : list
    distances : ndarray of float32, shape (n,)
        They are ordered by these.
    """

    keys: list[Key]
    distances: np.ndarray


class Neighbours(Protocol[Key]):
    """Points, by a fixed set of queries."""

    def nearest(self, features: np.ndarray, k: int) -> list[list[Key]]:
        """Return the k points closest to each of the queries' (m, d) features, a query's own point not among them."""
        ...

    def vectors(self, keys: Iterable[Key]) -> Mapping[Key, np.ndarray]:
        """Return the vectors, (d,) float32, of those points that are (still) stored."""
        ...


class CollectionNeighbours:
    """A collection's points, as a search finds them.

    Parameters
    ----------
    collection : Collection
    own : sequence of sets of str
        The ids of the stored points that each query is made of.
    where, exact
        As `Collection.search_batch` takes them.
    """

    def __init__(
        self,
        collection: Collection,
        own: Sequence[AbstractSet[str]],
        *,
        where: Where | None = None,
        exact: bool = False,
    ) -> None:
        self._collection = collection
        self._own = own
        self._where = where
        self._exact = exact

    def nearest(self, features: np.ndarray, k: int) -> list[list[str]]:
        """Return the ids of the k points closest to each of (m, d) features."""
        return [[hit.id for hit in hits] for hits in self.search(features, k, payloads=False)]

    def search(self, features: np.ndarray, k: int, *, payloads: bool = True) -> list[list[Hit]]:
        """Return the k points closest to each of (m, d) features; `payloads` as `Collection.search_batch` takes it."""
        more = max(map(len, self._own), default=0)
        found = self._collection.search_batch(
            features, k + more, where=self._where, exact=self._exact, payloads=payloads
        )
        return [without(own, hits, k) for own, hits in zip(self._own, found, strict=True)]

    def vectors(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """Return vectors by id: one request for a batch of queries, several for a very large one."""
        found: dict[str, np.ndarray] = {}
        for wanted in batched(dict.fromkeys(keys), _MOST_IDS):
            found |= self._collection.vectors(wanted)
        return found


def without(own: AbstractSet[str], hits: list[Hit], k: int) -> list[Hit]:
    """Return the first k hits that are no part of the query itself."""
    return [hit for hit in hits if hit.id not in own][:k]
