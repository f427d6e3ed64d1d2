"""Facets: how many points have each value of a field, or each year, month or folder.

In: a collection, a field, and a filter. Out: values with numbers of points, the
most frequent first. Both engines ask Qdrant's index where there is one that has
all values, and read the field of the points otherwise.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from cbir.collection.fields import BY_NAME, PLACE
from cbir.collection.filter import Among, Exists, Filter, Not, both
from cbir.collection.interface import Collection
from cbir.collection.place import COPIES, places_of
from cbir.collection.place import PLACE as PLACE_FIELDS
from cbir.collection.point import Label, Payload
from cbir.collection.translation import key_of, stored_values

#: What a value counts as; None: not at all.
Group: TypeAlias = Callable[[Label], Label | None]
#: The values of a key's index that pass a filter, with the number of points of each.
ByIndex: TypeAlias = Callable[[str, Filter | None], Iterable[tuple[Label, int]]]

#: The types of indexes that know how many points have each value.
_COUNTED = ("keyword", "integer")


def facet(
    collection: Collection,
    field: str,
    where: Filter | None,
    limit: int | None,
    group: Group | None,
    *,
    has_copies: bool,
    indexed: Mapping[str, str] = MappingProxyType({}),
    by_index: ByIndex | None = None,
) -> list[tuple[Label, int]]:
    """Count points by the values of a field: see `Collection.facet`.

    Parameters
    ----------
    has_copies : bool
        Whether a point may be in several places.
    indexed : mapping
        The type of each key that has an index.
    by_index : callable, optional
        By default all points are read.
    """
    key, counts = key_of(field), None
    if by_index is not None and indexed.get(key) in _COUNTED:
        counts = _indexed(collection, field, where, group, by_index)
    if counts is None:
        counts = Counter()
        for page in collection.scroll(vectors=False, fields=[field], where=both(where, Exists(field))):
            for payload in page.payloads:
                counts.update(_grouped(stored_values(payload, key), group))
    if field in PLACE and has_copies:
        pages = collection.scroll(vectors=False, fields=[*PLACE_FIELDS, COPIES], where=both(where, Exists(COPIES)))
        for page in pages:
            for payload in page.payloads:
                counts.update(_elsewhere(payload, field, group))
    found = [(value, count) for (_, value), count in counts.items()]
    found.sort(key=lambda each: (-each[1], isinstance(each[0], str), each[0], isinstance(each[0], bool)))
    return found[:limit]


def _indexed(
    collection: Collection, field: str, where: Filter | None, group: Group | None, by_index: ByIndex
) -> Counter[tuple[bool, Label]] | None:
    """Count by an index; None if it does not have all values."""
    declared = field in BY_NAME
    if group is not None and not declared:
        return None  # of a list, two values may be in one group
    values = [(value, count) for value, count in by_index(key_of(field), where) if count]
    # An index has values of one type, and other tools may have stored others.
    if not (declared and len(BY_NAME[field].types) == 1):
        others = Not(Among(field, tuple(value for value, _ in values)))
        if collection.count(where=both(where, Exists(field), others)):
            return None
    counts: Counter[tuple[bool, Label]] = Counter()
    for value, count in values:
        for each in _grouped([value], group):
            counts[each] += count
    return counts


def _elsewhere(payload: Payload, field: str, group: Group | None) -> set[tuple[bool, Label]]:
    """Return the values that only the copies of a point have."""
    _, *copies = places_of(payload)
    return _grouped([copy.fields().get(field) for copy in copies], group) - _grouped(
        stored_values(payload, field), group
    )


def _grouped(values: Iterable[object], group: Group | None) -> set[tuple[bool, Label]]:
    """Return what a point's values count as: texts, whole numbers, true and false; 1 is not true."""
    plain = {(isinstance(value, bool), value) for value in values if isinstance(value, int | str)}
    if group is None:
        return plain
    return {(False, made) for _, value in plain if (made := group(value)) is not None}
