"""A filter as JSON values, and back: for other programs, and for what asks over a network.

| filter | JSON |
| --- | --- |
| Among | `{"field": "label", "in": ["cat", 7]}` |
| Between | `{"field": "bytes", "gte": 1000, "lt": 2000}`; also `gt`, `lte`; times as `"2024-06-01T00:00:00Z"` |
| Like | `{"field": "folder", "like": "Holidays/**"}` |
| Exists | `{"field": "gps", "exists": true}` |
| Within | `{"field": "gps", "within": {"lat": 48.85, "lon": 2.35, "meters": 10000}}` |
| AllOf, AnyOf, Not | `{"all": [...]}`, `{"any": [...]}`, `{"not": {...}}` |
"""

from collections.abc import Mapping
from typing import Any

from cbir.collection.filter import (
    AllOf,
    Among,
    AnyOf,
    Between,
    Exists,
    Filter,
    FilterError,
    Like,
    Not,
    Within,
    shown,
)

#: Filters within each other: more is an attempt to exhaust the stack.
_DEEPEST = 32

_BOUNDS = {"gte": "least", "gt": "above", "lte": "most", "lt": "below"}

_SHAPES = (
    'a filter is {"all": [...]}, {"any": [...]}, {"not": {...}}, or a "field" with "in", "like", "exists", "within", '
    '"gte", "gt", "lte" or "lt"'
)


def to_json(condition: Filter) -> dict[str, Any]:
    """Return a filter as JSON values."""
    match condition:
        case AllOf(filters):
            return {"all": [to_json(each) for each in filters]}
        case AnyOf(filters):
            return {"any": [to_json(each) for each in filters]}
        case Not(negated):
            return {"not": to_json(negated)}
        case Among(field, values):
            return {"field": field, "in": list(values)}
        case Like(field, pattern):
            return {"field": field, "like": pattern}
        case Exists(field):
            return {"field": field, "exists": True}
        case Within(field, latitude, longitude, meters):
            return {"field": field, "within": {"lat": latitude, "lon": longitude, "meters": meters}}
        case Between(field):
            given = {key: condition.bounds[name] for key, name in _BOUNDS.items()}
            return {"field": field, **{key: bound for key, bound in given.items() if bound is not None}}


def from_json(value: object) -> Filter:
    """Return the filter that JSON values say.

    Raises
    ------
    FilterError
        Something else, with one line that says what is wrong.
    """
    return _read(value, _DEEPEST)


def _read(value: object, depth: int) -> Filter:
    if not depth:
        raise FilterError(f"filters are in each other more than {_DEEPEST} deep")
    if not isinstance(value, Mapping):
        raise FilterError(f"{_SHAPES}, not {shown(value)}")
    keys = set(value)
    if keys in ({"all"}, {"any"}):
        (kind,) = keys
        if not isinstance(value[kind], list):
            raise FilterError(f'"{kind}" is a list of filters, not {shown(value[kind])}')
        filters = tuple(_read(each, depth - 1) for each in value[kind])
        return AllOf(filters) if kind == "all" else AnyOf(filters)
    if keys == {"not"}:
        return Not(_read(value["not"], depth - 1))
    field, others = value.get("field"), keys - {"field"}
    if not isinstance(field, str) or not others:
        raise FilterError(f"{_SHAPES}, not {shown(value)}")
    if others <= set(_BOUNDS):
        return Between(field, **{_BOUNDS[key]: value[key] for key in others})
    if others == {"in"}:
        return Among(field, value["in"])
    if others == {"like"}:
        return Like(field, value["like"])
    if others == {"exists"}:
        if not isinstance(value["exists"], bool):
            raise FilterError(f'"exists" is true or false, not {shown(value["exists"])}')
        return Exists(field) if value["exists"] else Not(Exists(field))
    if others == {"within"}:
        circle = value["within"]
        if not isinstance(circle, Mapping) or set(circle) != {"lat", "lon", "meters"}:
            raise FilterError(f'"within" has the keys "lat", "lon" and "meters", not {shown(circle)}')
        return Within(field, circle["lat"], circle["lon"], circle["meters"])
    raise FilterError(f"{_SHAPES}, not {shown(value)}")
