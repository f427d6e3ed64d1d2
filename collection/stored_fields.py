"""The fields that the points of a collection have: those that cbir writes, and those that came from elsewhere.

A labels file may have any columns. Which there are, and of which types their
values are, is asked of the collection when a filter names one.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from cbir.collection.fields import BY_NAME, Field, FieldType
from cbir.collection.filter import Exists, Filter, FilterError, Where, filter_of
from cbir.collection.filter_text import parse_where
from cbir.collection.interface import Collection
from cbir.collection.translation import key_of, stored_values

#: Points that are looked at to tell a field's types, or which fields there are.
_SAMPLE = 1000


def read_where(where: Where | str | Sequence[str] | None, collection: Collection) -> Filter | None:
    """Return a filter, read from text if it is text: see `cbir.collection.filter_text`.

    Parameters
    ----------
    where : Where, str, sequence of str or None
        One condition or several, all of which must be true.
    collection : Collection
        Whose fields they name.

    Raises
    ------
    FilterError
    """
    if isinstance(where, str):
        return parse_where([where], StoredFields(collection))
    if isinstance(where, Sequence):
        return parse_where(where, StoredFields(collection))
    return filter_of(where)


class StoredFields(Mapping[str, Field]):
    """The fields that can be filtered by in a collection, by name; the collection is asked only where need be."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._found: dict[str, Field] = dict(BY_NAME)

    def __getitem__(self, name: str) -> Field:
        if name not in self._found:
            types = _types(self._collection, name)
            if not types:
                raise KeyError(name)
            self._found[name] = Field(name, types, "")
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of those fields that points have: of some points, if there are many."""
        payloads = next(self._collection.scroll(vectors=False, page=_SAMPLE), None)
        names = {name for payload in payloads.payloads for name in payload} if payloads else set()
        yield from (name for name in BY_NAME if name in names)
        yield from sorted(names - BY_NAME.keys())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _types(collection: Collection, name: str) -> tuple[FieldType, ...]:
    """Return the types of a field's values, as far as some points have them; none if no point has the field."""
    try:
        having = Exists(name)
    except FilterError:
        return ()
    page = next(collection.scroll(vectors=False, fields=[name], where=having, page=_SAMPLE), None)
    if page is None:
        return ()
    values = [value for payload in page.payloads for value in stored_values(payload, key_of(name))]
    kinds = {kind: None for value in values if value is not None for kind in _types_of(value)}
    if "datetime" in kinds and not all(_is_time(value) for value in values if isinstance(value, str)):
        del kinds["datetime"]
    return tuple(kinds) or ("list",)


def _types_of(value: Any) -> tuple[FieldType, ...]:
    if isinstance(value, bool):
        return ("bool",)
    if isinstance(value, int | float):
        return ("integer", "float")
    if isinstance(value, str):
        return ("keyword", "datetime")
    if isinstance(value, dict) and {"lon", "lat"} <= set(value):
        return ("geo",)
    return ("list",)


def _is_time(text: str) -> bool:
    """Tell whether a text is a time, and no mere number."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return "-" in text
