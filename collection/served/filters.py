"""Filters in the words of qdrant-client."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qdrant_client import models

from cbir.collection.fields import COPIES
from cbir.collection.filter import Between, Where, Within, filter_of
from cbir.collection.served.server import Server
from cbir.collection.translation import MOST_VALUES, stored_values, translated

INDEX_TYPES = {
    "integer": models.PayloadSchemaType.INTEGER,
    "float": models.PayloadSchemaType.FLOAT,
    "keyword": models.PayloadSchemaType.KEYWORD,
    "datetime": models.PayloadSchemaType.DATETIME,
    "geo": models.PayloadSchemaType.GEO,
    "bool": models.PayloadSchemaType.BOOL,
}

#: The first version whose filters have prefixes and substrings.
_PARTS_SINCE = (1, 19)

_PAGE = 10_000


def served_filter(where: Where | None, server: Server, physical: str, call: Callable[..., Any]) -> models.Filter | None:
    """Return a filter as a server has it, for the points of a collection; None if all points count.

    Parameters
    ----------
    where : Where or None
    server : Server
    physical : str
        The collection's own name.
    call : callable
        Calls a method of the client and turns its errors into ours.
    """
    condition = filter_of(where)
    if condition is None:
        return None
    return models.Filter(must=[translated(condition, _Served(server, physical, call))])


class _Served:
    """See `cbir.collection.translation.Dialect`."""

    def __init__(self, server: Server, physical: str, call: Callable[..., Any]) -> None:
        self._server = server
        self._physical = physical
        self._call = call
        self._schema: dict[str, Any] | None = None

    @property
    def matches_parts(self) -> bool:
        connected = self._server.client is not None  # the version is known from then on
        return connected and self._server.version >= _PARTS_SINCE

    @property
    def has_copies(self) -> bool:
        return COPIES[0] in self._indexed or not self._indexed  # no index at all: then cbir did not make it

    @property
    def _indexed(self) -> dict[str, Any]:
        """The fields that have an index: asked for once, and not at all where nothing depends on it."""
        if self._schema is None:
            self._schema = self._call(self._server.client.get_collection, self._physical).payload_schema
        return self._schema

    def any_of(self, key: str, values: Sequence[int] | Sequence[str]) -> models.Condition:
        return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))  # type: ignore[arg-type]

    def is_bool(self, key: str, value: bool) -> models.Condition:
        return models.FieldCondition(key=key, match=models.MatchValue(value=value))

    def prefix(self, key: str, text: str) -> models.Condition:
        return models.FieldCondition(key=key, match=models.MatchPrefix(prefix=text))

    def substring(self, key: str, text: str) -> models.Condition:
        return models.FieldCondition(key=key, match=models.MatchSubstring(substring=text))

    def between(self, key: str, condition: Between) -> models.Condition:
        bounds: Any = {"gte": condition.least, "gt": condition.above, "lte": condition.most, "lt": condition.below}
        return models.FieldCondition(
            key=key, range=models.DatetimeRange(**bounds) if condition.timed else models.Range(**bounds)
        )

    def indexed_as(self, key: str) -> str | None:
        index = self._indexed.get(key)
        return None if index is None else str(index.data_type.value)

    def of_points(self, key: str, holds: Callable[[Sequence[object]], bool]) -> models.Condition:
        is_there = models.Filter(must_not=[self.is_empty(key)])
        found = (r.id for r in self._records(key, is_there) if holds(stored_values(r.payload or {}, key)))
        return models.HasIdCondition(has_id=list(found))

    def is_empty(self, key: str) -> models.Condition:
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))

    def circle(self, key: str, condition: Within) -> models.Condition:
        center = models.GeoPoint(lon=condition.longitude, lat=condition.latitude)
        return models.FieldCondition(key=key, geo_radius=models.GeoRadius(center=center, radius=condition.meters))

    def combined(
        self,
        *,
        must: Sequence[models.Condition] = (),
        should: Sequence[models.Condition] = (),
        must_not: Sequence[models.Condition] = (),
    ) -> models.Condition:
        return models.Filter(must=list(must) or None, should=list(should) or None, must_not=list(must_not) or None)

    def values(self, key: str, narrowed: models.Condition | None) -> Iterable[object]:
        passing = models.Filter(must=[narrowed]) if narrowed is not None else None
        client = self._server.client
        index = self._indexed.get(key)
        # Another index, as of a label, may hold only some of the values.
        if index is not None and index.data_type == models.PayloadSchemaType.KEYWORD:
            found = self._call(client.facet, self._physical, key, facet_filter=passing, limit=MOST_VALUES, exact=True)
            yield from (hit.value for hit in found.hits)
            return
        for record in self._records(key, passing):
            yield from stored_values(record.payload or {}, key)

    def _records(self, key: str, passing: models.Filter | None) -> Iterable[models.Record]:
        """Yield the points that pass a filter, each with one field of its payload."""
        offset: Any = None
        while True:
            records, offset = self._call(
                self._server.client.scroll,
                self._physical,
                scroll_filter=passing,
                limit=_PAGE,
                offset=offset,
                with_payload=[key],
                with_vectors=False,
            )
            yield from records
            if offset is None:
                return
