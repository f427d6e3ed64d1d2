"""An item as a payload has it: what its source says, where it is, and what was read from its file.

In: an item, and the stored payload, if there is one. Out: the payload to store.
Fields that other tools added to a point stay.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cbir.collection.fields import FIELDS
from cbir.collection.place import COPIES, PLACE, Place, places_of, with_places
from cbir.collection.point import Payload, content_id, point_id
from cbir.ingest.sources.source import STAMP, Item

#: Fields that no source decides.
_RESERVED = {*PLACE, COPIES, "label", "sha256", "ingested_at", "code", "border_brightness", "warning"}
#: Fields that cbir writes.
_OURS = {*(field.name for field in FIELDS), *_RESERVED}


def place_of(item: Item) -> Place:
    """Return where an item is, with its stamp."""
    if item.content is None:
        return Place(item.source, item.uri, is_file=False)
    size, modified, inode, changed = (item.payload.get(name) for name in STAMP)
    return Place(item.source, item.uri, (size, modified, inode, changed))


def fields_of(item: Item) -> Payload:
    """Return what a source says of an item besides its place: the label, and further fields."""
    fields = {} if item.label is None else {"label": item.label}
    for name in item.payload.keys() - _RESERVED:
        fields[name] = item.payload[name]
    return fields


def id_of(item: Item, sha256: str | None) -> str:
    """Return the id of an item's point: by its content if it is a file."""
    return content_id(sha256) if sha256 is not None else point_id(item.source, item.uri)


def foreign(payload: Mapping[str, Any]) -> Payload:
    """Return the fields of a stored payload that other tools added."""
    return {name: value for name, value in payload.items() if name not in _OURS}


def new_payload(
    item: Item, sha256: str | None, details: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> Payload:
    """Return the payload of a content that is stored for the first time.

    Parameters
    ----------
    item : Item
    sha256 : str or None
        Of its file, if it is one.
    details : Mapping
        What was read from the file besides the picture; the source's own fields win.
    before : Mapping, optional
        Payload of another content that was at this place: what other tools added to it stays.
    """
    ours = {} if sha256 is None else {"sha256": sha256, "ingested_at": _now()}
    fields = {**foreign(before or {}), **details, **_kept_label(item, before), **fields_of(item), **ours}
    return with_places(fields, [place_of(item)])


def other_places(item: Item, before: Mapping[str, Any] | None) -> list[Place]:
    """Return the places of a stored content but for an item's own; none if there is no payload of it."""
    own = place_of(item).key
    return [place for place in places_of(before or {}) if place.key != own] if before else []


def _kept_label(item: Item, before: Mapping[str, Any] | None) -> Payload:
    """Return the label of what was at an item's place, if the item's source does not know it."""
    kept = not item.described and before is not None and "label" in before
    return {"label": before["label"]} if kept and before is not None else {}


def described(
    stored: Mapping[str, Any], fields: Mapping[str, Any] | None, place: Place, details: Mapping[str, Any] | None = None
) -> Payload:
    """Return the payload of a stored content whose first place is described anew, or is another one.

    Parameters
    ----------
    stored : Mapping
        Its payload; copies stay, but for one that is the new first place.
    fields : Mapping or None
        What the source says of the first place; None if that is not known, and the payload's fields stay.
    place : Place
    details : Mapping, optional
        What was read from its file.
    """
    copies = [copy for copy in list(places_of(stored))[1:] if copy.key != place.key]
    if fields is None:
        return with_places(stored, [place, *copies])
    kept = {name: value for name, value in stored.items() if name != "label"}
    return with_places({**kept, **(details or {}), **fields}, [place, *copies])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
