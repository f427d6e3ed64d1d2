"""Where a hit's picture is: of exact copies, the places that a filter asked for come first.

In: a hit's payload, and the filter of its search. Out: paths, or uris of
datasets, and the picture at one of them. Whoever searches in a folder gets the path in that folder, wherever
else the same content is.
"""

from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from cbir.collection.filter import Filter
from cbir.collection.filter_place import at_place
from cbir.collection.metadata import Metadata
from cbir.collection.place import stored_places
from cbir.collection.point import Payload
from cbir.core.objects import is_object


def located_places(payload: Payload, metadata: Metadata, where: Filter | None = None) -> list[str]:
    """Return where a point's content is, at least one place: its file, or uri, and those of its copies."""
    places = list(stored_places(payload))
    if where is not None and len(places) > 1:
        places.sort(key=lambda place: passes(where, place) is False)
    return [metadata.locate(place) for place in places]


def opened(
    open_picture: Callable[..., Image.Image], located: str, payload: Payload, enough: int | None = None
) -> Image.Image:
    """Open the picture of a stored point at one of its places; the payload tells where in a shard in storage it is."""
    further: dict[str, Any] = {} if enough is None else {"enough": enough}
    if is_object(located):
        further["stored"] = payload
    return open_picture(located, **further)


def passes(condition: Filter, place: Mapping[str, Any]) -> bool | None:
    """Tell whether a place passes a filter; None where the filter is about something else."""
    found = at_place(condition, place)
    return found if isinstance(found, bool) else None
