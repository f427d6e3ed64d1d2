"""A filter, as far as it is about one place of a content: a point of several exact copies may pass for one of them.

In: a filter and a place. Out: whether the place passes, or what is left of the filter, which is about the content.
"""

from collections.abc import Mapping
from typing import Any

from cbir.collection.fields import PLACE, is_path
from cbir.collection.filter import AllOf, Among, AnyOf, Filter, Like, Not
from cbir.collection.patterns import compiled
from cbir.collection.point import text_of
from cbir.core.uris import folder_and_name


def at_place(condition: Filter, place: Mapping[str, Any]) -> Filter | bool:
    """Return what a filter says of a place: true, false, or a filter of those fields that are no place's.

    Parameters
    ----------
    condition : Filter
    place : Mapping
        A payload, for its first place, or one of its `copies`.
    """
    match condition:
        case AllOf(filters):
            return _combined(AllOf, [at_place(each, place) for each in filters], neutral=True)
        case AnyOf(filters):
            return _combined(AnyOf, [at_place(each, place) for each in filters], neutral=False)
        case Not(negated):
            inner = at_place(negated, place)
            return not inner if isinstance(inner, bool) else Not(inner)
        case Among(field, values) if field in PLACE:
            return _value(place, field) in values
        case Like(field, pattern) if field in PLACE:
            return compiled(pattern, path=is_path(field)).fullmatch(_value(place, field)) is not None
    return condition


def _combined(kind: type[AllOf] | type[AnyOf], found: list[Filter | bool], *, neutral: bool) -> Filter | bool:
    """Combine what was found: the other truth than the neutral one decides."""
    if any(each is (not neutral) for each in found):
        return not neutral
    rest = tuple(each for each in found if not isinstance(each, bool))
    return neutral if not rest else rest[0] if len(rest) == 1 else kind(rest)


def _value(place: Mapping[str, Any], field: str) -> str:
    if field in place:
        return str(place[field])
    folder, name = folder_and_name(text_of(place, "uri"))
    return {"folder": folder, "name": name}.get(field, "")
