"""Where a hit's picture is: of exact copies, the places that a filter asked for come first.

In: a hit's payload, and the filter of its search. Out: paths, or uris of
datasets. Whoever searches in a folder gets the path in that folder, wherever
else the same content is.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cbir.collection.fields import PLACE, is_path
from cbir.collection.filter import AllOf, Among, AnyOf, Filter, Like, Not
from cbir.collection.metadata import Metadata
from cbir.collection.patterns import compiled
from cbir.collection.point import Payload
from cbir.core.uris import folder_and_name


def located_places(payload: Payload, metadata: Metadata, where: Filter | None = None) -> list[str]:
    """Return where a point's content is, at least one place: its file, or uri, and those of its copies."""
    places = list(_places(payload))
    if where is not None and len(places) > 1:
        places.sort(key=lambda place: passes(where, place) is False)
    return [metadata.locate(place) for place in places]


def _places(payload: Payload) -> Iterator[dict[str, Any]]:
    copies: Any = payload.get("copies")
    yield payload
    # Other tools write payloads too.
    yield from (copy for copy in (copies if isinstance(copies, list) else ()) if isinstance(copy, dict))


def passes(condition: Filter, place: Mapping[str, Any]) -> bool | None:
    """Tell whether a place passes a filter; None where the filter is about something else."""
    match condition:
        case AllOf(filters):
            found = [passes(each, place) for each in filters]
            return False if False in found else None if None in found else True
        case AnyOf(filters):
            found = [passes(each, place) for each in filters]
            return True if True in found else None if None in found else False
        case Not(negated):
            inner = passes(negated, place)
            return None if inner is None else not inner
        case Among(field, values) if field in PLACE:
            return _value(place, field) in values
        case Like(field, pattern) if field in PLACE:
            return compiled(pattern, path=is_path(field)).fullmatch(_value(place, field)) is not None
    return None


def _value(place: Mapping[str, Any], field: str) -> str:
    folder, name = folder_and_name(str(place.get("uri", "")))
    return str({"folder": folder, "name": name}.get(field, place.get(field, "")))
