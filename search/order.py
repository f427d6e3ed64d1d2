"""Hits in the order of a payload field instead of their distance: `taken_at`, `bytes:desc`.

In: hits, and a field with its direction. Out: the same hits, those without the
field last.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from numbers import Real

from cbir.collection.fields import Field
from cbir.collection.filter import FilterError
from cbir.collection.point import Hit

_DIRECTIONS = {"": False, "asc": False, "desc": True}


def check_sort(sort: str, fields: Mapping[str, Field]) -> None:
    """Refuse what hits cannot be sorted by.

    Raises
    ------
    FilterError
        No such field or direction, or a field whose values have no order.
    """
    from cbir.collection.filter_text import known_field

    name, direction = _split(sort)
    if direction not in _DIRECTIONS:
        raise FilterError(f"--sort takes a field and perhaps :asc or :desc, as in taken_at:desc, not '{sort}'")
    if name != "distance" and not {"geo", "list"}.isdisjoint(known_field(name, fields).types):
        raise FilterError(f"'{name}' has no order to sort by")


def in_order(hits: Sequence[Hit], sort: str) -> list[Hit]:
    """Return hits in the order that `check_sort` found right; those that are equal stay in the order they have."""
    name, direction = _split(sort)
    if name == "distance":
        return sorted(hits, key=lambda hit: hit.distance, reverse=_DIRECTIONS[direction])
    having = [hit for hit in hits if _key(hit, name) is not None]
    having.sort(key=lambda hit: _key(hit, name) or (), reverse=_DIRECTIONS[direction])
    return [*having, *(hit for hit in hits if _key(hit, name) is None)]


def _split(sort: str) -> tuple[str, str]:
    name, _, direction = sort.rpartition(":") if ":" in sort else (sort, "", "")
    return name, direction


def _key(hit: Hit, name: str) -> tuple[int, float, str] | None:
    """Return what a hit is sorted by: numbers come before texts; of a list, its least value counts."""
    value = hit.payload.get(name)
    values = value if isinstance(value, list) else [value]
    return min((_comparable(each) for each in values if isinstance(each, Real | str)), default=None)


def _comparable(value: Real | str) -> tuple[int, float, str]:
    if isinstance(value, Real):
        return 0, float(value), ""
    try:
        moment = datetime.fromisoformat(value) if "T" in value else None
    except ValueError:
        moment = None
    if moment is None:
        return 1, 0.0, value
    return 1, 0.0, moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).isoformat()
