"""Filters in the words of Qdrant Edge, and the payload indexes that make them fast.

Without an index, Edge reads the payload of every point that it compares: 0.3 to
1 s for 100,000 points. Making one takes as long, and then a search 2 ms. So an
index is made when a filter first names a field: whoever never filters pays for
none, neither when points are stored nor when the collection is opened.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import qdrant_edge as edge

from cbir.collection.embedded.kept import INDEXES, field_index
from cbir.collection.fields import BY_NAME, COPIES, FieldType
from cbir.collection.filter import Among, Between, Condition, Filter, Like, Within, conditions_of
from cbir.collection.translation import MOST_VALUES, has_bool, key_of, stored_values, translated

_Condition: TypeAlias = edge.FieldCondition | edge.Filter | edge.HasIdCondition


def type_of_index(index: Any) -> str | None:
    """Return the type of a field's index, as `FieldType` spells it; None of one that cbir does not make."""
    return next((name for name, (kind, _) in INDEXES.items() if kind == index.data_type), None)


#: Points from which on a field that is filtered by is worth an index: below, a search without takes milliseconds.
INDEXED_ABOVE = 2_000

_PAGE = 10_000


def edge_filter(condition: Filter, shard: edge.EdgeShard) -> edge.Filter:
    """Return a filter as Edge has it, for the points of a shard."""
    return edge.Filter(must=[translated(condition, _Edge(shard))])


def index_filtered(condition: Filter, shard: edge.EdgeShard, change: Callable[[], None]) -> None:
    """Index the fields of a filter that have no index yet, if the shard is large enough for that to pay.

    `change` is called before the first change.
    """
    state = shard.info()
    if state.points_count < INDEXED_ABOVE:
        return
    for each in conditions_of(condition):
        key = key_of(each.field)
        # Of a quoted name, Edge makes an index that it does not fill.
        if key in state.payload_schema or key != each.field:
            continue
        kind = _index_type(each)
        if kind is not None:
            change()
            shard.update(edge.UpdateOperation.create_field_index(key, field_index(kind)))
            state = shard.info()


def renew_indexes(shard: edge.EdgeShard, change: Callable[[], None]) -> None:
    """Make all payload indexes anew from the points, whose checksums do not tell whether an index is damaged.

    `change` is called before the first change.
    """
    for key, index in shard.info().payload_schema.items():
        change()
        shard.update(edge.UpdateOperation.delete_field_index(key))
        kind = type_of_index(index)
        anew = index.data_type if kind is None else field_index(kind)
        shard.update(edge.UpdateOperation.create_field_index(key, anew))


def _index_type(condition: Condition) -> FieldType | None:
    """Return as what to index a condition's field; None if no index would do."""
    field = BY_NAME.get(condition.field)
    if field is not None:
        # Of a label, the first value decides when it is stored.
        return field.types[0] if len(field.types) == 1 and field.types[0] in INDEXES else None
    match condition:
        case Between():
            return "datetime" if condition.timed else "float"
        case Within():
            return "geo"
        case Like():
            return "keyword"
        case Among(_, values):
            # A float has no index for equality, and a whole number may be stored as one.
            return "keyword" if values and all(isinstance(value, str) for value in values) else None
    return None


class _Edge:
    """See `cbir.collection.translation.Dialect`."""

    matches_parts = True

    def __init__(self, shard: edge.EdgeShard) -> None:
        self._shard = shard
        self._indexed = shard.info().payload_schema
        self.has_copies = COPIES[0] in self._indexed

    def any_of(self, key: str, values: Sequence[int] | Sequence[str]) -> _Condition:
        return edge.FieldCondition(key=key, match=edge.MatchAny(list(values)))  # type: ignore[arg-type]

    def is_bool(self, key: str, value: bool) -> _Condition:
        # Edge takes Python's True for the number 1.
        return self.of_points(key, lambda values: has_bool(values, value))

    def indexed_as(self, key: str) -> str | None:
        index = self._indexed.get(key)
        return None if index is None else type_of_index(index)

    def of_points(self, key: str, holds: Callable[[Sequence[object]], bool]) -> _Condition:
        is_there = edge.Filter(must_not=[edge.IsEmptyCondition(key)])
        return edge.HasIdCondition({r.id for r in self._records(key, is_there) if holds(_of(r, key))})

    def prefix(self, key: str, text: str) -> _Condition:
        return edge.FieldCondition(key=key, match=edge.MatchPrefix(text))

    def substring(self, key: str, text: str) -> _Condition:
        return edge.FieldCondition(key=key, match=edge.MatchSubstring(text))

    def between(self, key: str, condition: Between) -> _Condition:
        bounds: Any = {
            "gte": condition.least,
            "gt": condition.above,
            "lte": condition.most,
            "lt": condition.below,
        }
        return edge.FieldCondition(
            key=key, range=edge.RangeDateTime(**bounds) if condition.timed else edge.RangeFloat(**bounds)
        )

    def is_empty(self, key: str) -> _Condition:
        return edge.Filter(must=[edge.IsEmptyCondition(key)])

    def circle(self, key: str, condition: Within) -> _Condition:
        center = edge.GeoPoint(condition.longitude, condition.latitude)
        return edge.FieldCondition(key=key, geo_radius=edge.GeoRadius(center, condition.meters))

    def combined(
        self,
        *,
        must: Sequence[_Condition] = (),
        should: Sequence[_Condition] = (),
        must_not: Sequence[_Condition] = (),
    ) -> _Condition:
        return edge.Filter(must=list(must) or None, should=list(should) or None, must_not=list(must_not) or None)

    def values(self, key: str, narrowed: _Condition | None) -> Iterable[object]:
        passing = edge.Filter(must=[narrowed]) if narrowed is not None else None
        index = self._indexed.get(key)
        # Another index, as of a label, may hold only some of the values.
        if index is not None and index.data_type == edge.PayloadSchemaType.Keyword:
            request = edge.FacetRequest(key, limit=MOST_VALUES, filter=passing)
            yield from (hit.value for hit in self._shard.facet(request).hits)
            return
        for record in self._records(key, passing):
            yield from _of(record, key)

    def _records(self, key: str, passing: edge.Filter | None) -> Iterable[edge.Record]:
        """Yield the points that pass a filter, each with one field of its payload."""
        offset: Any = None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=_PAGE, filter=passing, with_payload=[key])
            records, offset = self._shard.scroll(request)
            yield from records
            if offset is None:
                return


def _of(record: edge.Record, key: str) -> list[Any]:
    """Return a point's values in a field."""
    return stored_values(record.payload or {}, key)
