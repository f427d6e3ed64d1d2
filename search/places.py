"""Where a hit's picture is: of exact copies, the places that a filter asked for come first.

In: a hit's payload, and the filter of its search. Out: paths, or uris of
datasets. Whoever searches in a folder gets the path in that folder, wherever
else the same content is.
"""

from collections.abc import Mapping
from typing import Any

from cbir.collection.filter import Filter
from cbir.collection.filter_place import at_place
from cbir.collection.metadata import Metadata
from cbir.collection.place import stored_places
from cbir.collection.point import Payload


def located_places(payload: Payload, metadata: Metadata, where: Filter | None = None) -> list[str]:
    """Return where a point's content is, at least one place: its file, or uri, and those of its copies."""
    places = list(stored_places(payload))
    if where is not None and len(places) > 1:
        places.sort(key=lambda place: passes(where, place) is False)
    return [metadata.locate(place) for place in places]


def passes(condition: Filter, place: Mapping[str, Any]) -> bool | None:
    """Tell whether a place passes a filter; None where the filter is about something else."""
    found = at_place(condition, place)
    return found if isinstance(found, bool) else None
