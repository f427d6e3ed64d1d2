"""Filters as Qdrant's JSON has them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cbir.collection.fields import COPIES
from cbir.collection.filter import Between, Where, Within, filter_of
from cbir.collection.served.reader import Condition, Record
from cbir.collection.served.server import Server
from cbir.collection.translation import MOST_VALUES, stored_values, translated

#: The first version whose filters have prefixes and substrings.
_PARTS_SINCE = (1, 19)

_PAGE = 10_000


def served_filter(where: Where | None, server: Server, physical: str, call: Callable[..., Any]) -> Condition | None:
    """Return a filter as a server has it, for the points of a collection; None if all points count.

    Parameters
    ----------
    where : Where or None
    server : Server
    physical : str
        The collection's own name.
    call : callable
        Calls a method of the server's reader and turns its errors into ours.
    """
    condition = filter_of(where)
    if condition is None:
        return None
    return {"must": [translated(condition, _Served(server, physical, call))]}


class _Served:
    """See `cbir.collection.translation.Dialect`."""

    def __init__(self, server: Server, physical: str, call: Callable[..., Any]) -> None:
        self._server = server
        self._physical = physical
        self._call = call
        self._indexes: Mapping[str, str] | None = None

    @property
    def matches_parts(self) -> bool:
        connected = self._server.reader is not None  # the version is known from then on
        return connected and self._server.version >= _PARTS_SINCE

    @property
    def has_copies(self) -> bool:
        return COPIES[0] in self._indexed or not self._indexed  # no index at all: then cbir did not make it

    @property
    def _indexed(self) -> Mapping[str, str]:
        """The fields that have an index: asked for once, and not at all where nothing depends on it."""
        if self._indexes is None:
            described = self._call(self._server.reader.describe, self._physical)
            self._indexes = described.indexes if described is not None else {}
        return self._indexes

    def any_of(self, key: str, values: Sequence[int] | Sequence[str]) -> Condition:
        return {"key": key, "match": {"any": list(values)}}

    def is_bool(self, key: str, value: bool) -> Condition:
        return {"key": key, "match": {"value": value}}

    def prefix(self, key: str, text: str) -> Condition:
        return {"key": key, "match": {"prefix": text}}

    def substring(self, key: str, text: str) -> Condition:
        return {"key": key, "match": {"substring": text}}

    def between(self, key: str, condition: Between) -> Condition:
        bounds = {"gte": condition.least, "gt": condition.above, "lte": condition.most, "lt": condition.below}
        return {"key": key, "range": {name: bound for name, bound in bounds.items() if bound is not None}}

    def indexed_as(self, key: str) -> str | None:
        return self._indexed.get(key)

    def of_points(self, key: str, holds: Callable[[Sequence[object]], bool]) -> Condition:
        is_there = {"must_not": [self.is_empty(key)]}
        found = (r.id for r in self._records(key, is_there) if holds(stored_values(r.payload or {}, key)))
        return {"has_id": list(found)}

    def is_empty(self, key: str) -> Condition:
        return {"is_empty": {"key": key}}

    def circle(self, key: str, condition: Within) -> Condition:
        center = {"lon": condition.longitude, "lat": condition.latitude}
        return {"key": key, "geo_radius": {"center": center, "radius": condition.meters}}

    def combined(
        self,
        *,
        must: Sequence[Condition] = (),
        should: Sequence[Condition] = (),
        must_not: Sequence[Condition] = (),
    ) -> Condition:
        parts = {"must": list(must), "should": list(should), "must_not": list(must_not)}
        return {name: conditions for name, conditions in parts.items() if conditions}

    def values(self, key: str, narrowed: Condition | None) -> Iterable[object]:
        passing = {"must": [narrowed]} if narrowed is not None else None
        # Another index, as of a label, may hold only some of the values.
        if self._indexed.get(key) == "keyword":
            counted = self._call(self._server.reader.facet, self._physical, key, passing, MOST_VALUES)
            yield from (value for value, _ in counted)
            return
        for record in self._records(key, passing):
            yield from stored_values(record.payload or {}, key)

    def _records(self, key: str, passing: Condition | None) -> Iterable[Record]:
        """Yield the points that pass a filter, each with one field of its payload."""
        offset: object = None
        while True:
            records, offset = self._call(
                self._server.reader.scroll,
                self._physical,
                passing,
                limit=_PAGE,
                offset=offset,
                payload=[key],
                vectors=False,
            )
            yield from records
            if offset is None:
                return
