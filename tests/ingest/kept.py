"""A collection in memory, and points, for the tests of what an ingest knows and does of them."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from cbir.collection.damage import Damage
from cbir.collection.place import Place, places_of, with_places
from cbir.collection.point import Payload
from cbir.core.workers import batched
from cbir.ingest.claim import Claim
from cbir.ingest.places import Places


class Kept:
    """A collection in memory, as far as the table and settling use it."""

    def __init__(self, points: dict[str, Payload]):
        self.points = points

    def count(self) -> int:
        return len(self.points)

    def scroll(self, *, vectors: bool, fields: Sequence[str]) -> Iterator[Any]:
        assert vectors is False
        for page in batched(self.points, 3):
            payloads = [
                {name: self.points[each].get(name) for name in fields if name in self.points[each]} for each in page
            ]
            yield SimpleNamespace(ids=page, payloads=payloads)

    def payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        return {identity: self.points[identity] for identity in ids if identity in self.points}

    def replace_payloads(self, ids: Sequence[str], payloads: Sequence[Payload]) -> None:
        self.points.update(zip(ids, payloads, strict=True))

    def upsert(self, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        assert len(ids) == len(vectors) == len(payloads)
        self.points.update(zip(ids, payloads, strict=True))

    def delete(self, ids: Sequence[str]) -> None:
        for identity in ids:
            del self.points[identity]


def point(*uris: str, sha256: str = "", size: int = 7, **fields: Any) -> Payload:
    hashed = {"sha256": sha256} if sha256 else {}
    return with_places({**hashed, **fields}, [Place("photos", uri, (size, 1, 2, 3)) for uri in uris])


def table(points: dict[str, Payload], damage: Damage | None = None) -> tuple[Kept, Places]:
    collection = Kept(points)
    return collection, Places.of(collection, damage=damage)


def uris(payload: Payload) -> list[str]:
    return [place.uri for place in places_of(payload)]


def claim(places: Places, uri: str, source: str = "photos") -> Claim:
    (found,) = places.at(source, uri)
    return found
