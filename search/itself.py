"""Which stored points are a query itself: the same file, or another with the same content.

In: a query. Out: a mark that tells its own points among hits. What is neither a
file nor a dataset's image has none.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cbir.collection.checks import validated_k
from cbir.collection.interface import Collection
from cbir.collection.metadata import Metadata
from cbir.collection.point import Payload
from cbir.core.digest import sha256_of
from cbir.search.piped import Piped
from cbir.search.places import located_places
from cbir.search.query import Single, Term

#: Points at least that are looked at to find a query's own, which is the nearest, or among those as near.
_DEPTH = 16


def itself(collection: Collection, queries: Sequence[Sequence[Term]], features: np.ndarray, k: int) -> list[set[str]]:
    """Return, for each query, the ids of the points near it that are the query itself, or a term of it.

    Parameters
    ----------
    collection : Collection
    queries : sequence of sequences of Term
    features : ndarray of float32, shape (m, d)
        Of all their terms.
    k : int
        Hits that are wanted: none of them is the query itself.
    """
    nearest = iter(collection.search_batch(features, validated_k(max(_DEPTH, k))))
    found: list[set[str]] = []
    for terms in queries:
        found.append(set())
        for term in terms:
            mark, hits = mark_of(term.query), next(nearest)
            found[-1].update(hit.id for hit in hits if mark.is_on(hit.payload, collection.metadata))
    return found


@dataclass(frozen=True)
class Mark:
    """What the points of a query have: its content or its place.

    Attributes
    ----------
    contents : frozenset of str
        SHA-256 of the files.
    places : frozenset of str
        Absolute paths of the files, without symbolic links, and uris of datasets' images.
    """

    contents: frozenset[str]
    places: frozenset[str]

    def is_on(self, payload: Payload, metadata: Metadata) -> bool:
        """Tell whether a point is the query itself."""
        if payload.get("sha256") in self.contents:
            return True
        return any(_real(located) in self.places for located in located_places(payload, metadata))


def mark_of(query: Single) -> Mark:
    """Return the mark of a query."""
    places = [_real(str(query))] if isinstance(query, str | Path) else []
    return Mark(frozenset(_contents(query)), frozenset(places))


def _contents(query: Single) -> Iterator[str]:
    if isinstance(query, Piped):
        yield query.sha256
    elif isinstance(query, str | Path) and os.path.isfile(query):  # noqa: PTH113 - never raises
        yield sha256_of(Path(query))


def _real(place: str) -> str:
    """Return a path without symbolic links; a dataset's uri as it is."""
    return os.path.realpath(place) if os.path.isabs(place) or os.path.exists(place) else place  # noqa: PTH110, PTH117
