"""A filter becomes Qdrant's, in the words of either of Qdrant's clients.

`Dialect` is what each engine offers: the few conditions that a filter is made
of. `translated` does the rest, so that both engines understand a filter in the
same way. What Qdrant has no condition for, such as `*.png`, is replaced by the
stored values that match (`Dialect.values`).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from cbir.collection.fields import BY_NAME, PLACE, is_path
from cbir.collection.filter import (
    AllOf,
    Among,
    AnyOf,
    Between,
    Exists,
    Filter,
    Like,
    Not,
    Within,
)
from cbir.collection.patterns import beginning, compiled, is_pattern
from cbir.collection.point import Payload
from cbir.core.uris import folder_and_name

#: The most values of a field that a pattern is compared with: more than a collection of one machine has.
MOST_VALUES = 100_000_000

#: The indexes that answer for a range of numbers, and of times.
_RANGES = {False: frozenset({"integer", "float"}), True: frozenset({"datetime"})}

#: A condition, as a client of Qdrant's has it.
C = TypeVar("C")


class Dialect(Protocol, Generic[C]):
    """The conditions of one of Qdrant's clients; `key` is a field's path in Qdrant's spelling."""

    @property
    def matches_parts(self) -> bool:
        """Whether this Qdrant has `prefix` and `substring`."""
        ...

    @property
    def has_copies(self) -> bool:
        """Whether a point may have copies at all; if not, the places of copies are not looked at."""
        ...

    def any_of(self, key: str, values: Sequence[int] | Sequence[str]) -> C:
        """Return a condition: one of these whole numbers, or texts."""
        ...

    def is_bool(self, key: str, value: bool) -> C:
        """Return a condition: true, or false."""
        ...

    def prefix(self, key: str, text: str) -> C:
        """Return a condition: a text that begins so."""
        ...

    def substring(self, key: str, text: str) -> C:
        """Return a condition: a text that this one is in."""
        ...

    def between(self, key: str, condition: Between) -> C:
        """Return a condition: a number, or a time, between bounds."""
        ...

    def indexed_as(self, key: str) -> str | None:
        """Return the type of a field's index, as `FieldType` spells it; None without one."""
        ...

    def of_points(self, key: str, holds: Callable[[Sequence[object]], bool]) -> C:
        """Return a condition: one of the points whose values in a field pass a test; all points are looked at."""
        ...

    def is_empty(self, key: str) -> C:
        """Return a condition: absent, null or an empty list."""
        ...

    def circle(self, key: str, condition: Within) -> C:
        """Return a condition: a place on Earth that is near another."""
        ...

    def combined(self, *, must: Sequence[C] = (), should: Sequence[C] = (), must_not: Sequence[C] = ()) -> C:
        """Return Qdrant's filter; an empty one is true of everything."""
        ...

    def values(self, key: str, narrowed: C | None) -> Iterable[object]:
        """Yield the values that points have in a field, some perhaps more than once; of points that pass a filter."""
        ...


def translated(condition: Filter, dialect: Dialect[C]) -> C:
    """Return a filter as a client of Qdrant's has it."""
    return _Translation(dialect).of(condition)


def key_of(field: str) -> str:
    """Return a field's path as Qdrant spells it: what is no word is quoted."""
    return field if re.fullmatch(r"[\w-]+(\[\]\.\w+)?", field, re.ASCII) else f'"{field}"'


def stored_values(payload: Payload, key: str) -> list[Any]:
    """Return the values that a payload has under a key as `key_of` spells it: none, one, or a list's."""
    found: list[Any] = [payload]
    for part in (key.strip('"'),) if key.startswith('"') else key.replace("[]", "").split("."):
        inside = [each[part] for each in found if isinstance(each, dict) and part in each]
        found = [value for each in inside for value in (each if isinstance(each, list) else [each])]
    return found


def has_bool(values: Sequence[object], wanted: bool) -> bool:
    """Tell whether true, or false, is among some values: of Python's numbers, 1 would be too."""
    return any(value is wanted for value in values)


class _Translation(Generic[C]):
    def __init__(self, dialect: Dialect[C]) -> None:
        self._dialect = dialect

    def of(self, condition: Filter) -> C:
        """Return a filter's translation."""
        dialect = self._dialect
        match condition:
            case AllOf(filters):
                return dialect.combined(must=[self.of(each) for each in filters])
            case AnyOf(filters):
                return self._one([self.of(each) for each in filters])
            case Not(negated):
                return dialect.combined(must_not=[self.of(negated)])
            case Exists(field):
                return dialect.combined(must_not=[dialect.is_empty(key_of(field))])
            case Between(field):
                return self._between(key_of(field), condition)
            case Within(field):
                return dialect.circle(key_of(field), condition)
            case Among(field, values):
                texts = frozenset(value for value in values if isinstance(value, str))
                return self._one(
                    [
                        *self._among(key_of(field), values),
                        *self._of_copies(field, lambda key: self._among(key, values), texts.__contains__),
                    ]
                )
            case Like(field, pattern):
                matches = compiled(pattern, path=is_path(field)).fullmatch
                return self._one(
                    [
                        *self._like(field, key_of(field), pattern),
                        *self._of_copies(
                            field, lambda key: self._like(field, key, pattern), lambda text: bool(matches(text))
                        ),
                    ]
                )

    def _between(self, key: str, condition: Between) -> C:
        # An index of numbers answers for times as well, and one of times for numbers: both count in microseconds then.
        as_expected = _RANGES[condition.timed]
        known = BY_NAME.get(condition.field)
        if (known is None or not as_expected.intersection(known.types)) and self._dialect.indexed_as(key) in (
            _RANGES[not condition.timed]
        ):
            return self._dialect.of_points(key, lambda values: any(map(condition.holds, values)))
        return self._dialect.between(key, condition)

    def _one(self, conditions: Sequence[C]) -> C:
        """Return a filter that is true if one of these conditions is; of none, nothing is."""
        if len(conditions) == 1:
            return conditions[0]
        dialect = self._dialect
        return dialect.combined(should=conditions) if conditions else dialect.combined(must_not=[dialect.combined()])

    def _of_copies(self, field: str, conditions: Callable[[str], list[C]], matches: Callable[[str], bool]) -> list[C]:
        """Return conditions on the places of copies, if a field says where a picture is."""
        if field not in PLACE or not self._dialect.has_copies:
            return []
        if field in ("uri", "source"):
            return conditions(f"copies[].{field}")
        # Of folder and name, only the uris of copies tell.
        part = ("folder", "name").index(field)
        uris = {value for value in self._dialect.values("copies[].uri", None) if isinstance(value, str)}
        return self._any_text("copies[].uri", [uri for uri in uris if matches(folder_and_name(uri)[part])])

    def _any_text(self, key: str, values: Iterable[str]) -> list[C]:
        found = sorted(values)
        return [self._dialect.any_of(key, found)] if found else []

    def _among(self, key: str, values: Sequence[object]) -> list[C]:
        dialect = self._dialect
        texts = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
        found = [dialect.any_of(key, each) for each in (numbers, texts) if each]
        return [*found, *(dialect.is_bool(key, value) for value in values if isinstance(value, bool))]

    def _like(self, field: str, key: str, pattern: str) -> list[C]:
        dialect, path = self._dialect, is_path(field)
        if not is_pattern(pattern):
            return [dialect.any_of(key, [pattern])]
        if dialect.matches_parts:
            below = pattern.removesuffix("/**") if path and pattern.endswith("/**") else None
            if below is not None and not is_pattern(below):
                return [dialect.any_of(key, [below]), dialect.prefix(key, f"{below}/")]
            inner = pattern.strip("*")
            some = "**" if path else "*"
            if not is_pattern(inner) and pattern.endswith(some) and below is None:
                if pattern == inner + pattern[len(inner) :]:
                    return [dialect.prefix(key, inner)]
                if pattern.startswith(some) and not (path and inner.startswith("/")):
                    return [dialect.substring(key, inner)]
        first = beginning(pattern)
        narrowed = dialect.prefix(key, first) if first and dialect.matches_parts else None
        matches = compiled(pattern, path=path).fullmatch
        values = {value for value in dialect.values(key, narrowed) if isinstance(value, str) and matches(value)}
        return self._any_text(key, values)
