"""A filter: which points count, by the fields of their payloads; the same in Python, as text and as JSON.

A filter is one of a few immutable conditions, or a combination of such. Both
engines translate it (`cbir.collection.translation`), `cbir.collection.filter_text`
reads it from text, and `cbir.collection.filter_json` from JSON and back.

A payload field may hold a list: a condition is true of it if it is true of one
of its values. Where a field is absent, no condition on it is true, so that
`Not` of one is.

Examples
--------
>>> AllOf((Like("folder", "Holidays/**"), Not(Among("label", ("cat", "dog"))))).fields
{'folder', 'label'}
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import Any, TypeAlias, Union

from cbir.collection.errors import CollectionError
from cbir.collection.point import Label
from cbir.core import uris

#: Half of the Earth's circumference, in meters: everything is nearer.
FARTHEST = 20_037_508.0

#: What a field can be compared with for being more or less: a number, or a time as RFC 3339 writes it.
Bound: TypeAlias = int | float | str


class FilterError(CollectionError):
    """A filter that cannot be read, or that Qdrant would misread."""


@dataclass(frozen=True)
class Among:
    """The field has one of these values: texts, whole numbers, or true and false. Of no values, nothing is true."""

    field: str
    values: tuple[Label, ...]

    def __post_init__(self) -> None:
        _check_field(self.field)
        object.__setattr__(self, "values", _values(self.field, self.values))

    @property
    def fields(self) -> set[str]:
        """The names of the fields that it is about."""
        return {self.field}


@dataclass(frozen=True)
class Between:
    """The field is a number, or a time, between bounds: at least `least`, above `above`, at most `most`, below `below`.

    Of two bounds on one side, the one that says more is kept.

    Attributes
    ----------
    least, above, most, below : int, float, str or None
        All numbers, or all times: a text such as `2024-06-01T12:00:00+02:00`, which is kept in UTC. Numbers beyond
        2**53 are compared as float64.
    """

    field: str
    least: Bound | None = None
    above: Bound | None = None
    most: Bound | None = None
    below: Bound | None = None

    def __post_init__(self) -> None:
        _check_field(self.field)
        given = {name: bound for name, bound in self.bounds.items() if bound is not None}
        if not given:
            raise FilterError(f"a range of {shown(self.field)} needs a bound")
        if len({isinstance(bound, str) for bound in given.values()}) > 1:
            raise FilterError(f"a range of {shown(self.field)} is between numbers, or between times, not between both")
        for name, bound in given.items():
            object.__setattr__(self, name, _bound(self.field, bound))
        # Of two bounds on one side, Qdrant's index looks at one only.
        if self.least is not None and self.above is not None:
            object.__setattr__(self, "least" if _order(self.above) >= _order(self.least) else "above", None)
        if self.most is not None and self.below is not None:
            object.__setattr__(self, "most" if _order(self.below) <= _order(self.most) else "below", None)

    @property
    def bounds(self) -> dict[str, Bound | None]:
        """The bounds by their names."""
        return {"least": self.least, "above": self.above, "most": self.most, "below": self.below}

    @property
    def timed(self) -> bool:
        """Whether the bounds are times."""
        return any(isinstance(bound, str) for bound in self.bounds.values())

    def holds(self, value: object) -> bool:
        """Tell whether a stored value is between the bounds; what is no number, or no time, is not."""
        if self.timed:
            if not isinstance(value, str):
                return False
            try:
                found: Any = _order(value)
            except ValueError:
                return False
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
        elif isinstance(value, bool) or not isinstance(value, int | float):
            return False
        else:
            found = float(value)
        least, above, most, below = (
            _order(bound) if isinstance(bound, str) else bound for bound in self.bounds.values()
        )
        return bool(
            (least is None or found >= least)
            and (above is None or found > above)
            and (most is None or found <= most)
            and (below is None or found < below)
        )

    @property
    def fields(self) -> set[str]:
        """The names of the fields that it is about."""
        return {self.field}


@dataclass(frozen=True)
class Like:
    """The field is a text that a pattern matches: `Holidays/**`, `*.png`; see `cbir.collection.patterns`."""

    field: str
    pattern: str

    def __post_init__(self) -> None:
        _check_field(self.field)
        if not isinstance(self.pattern, str):
            raise FilterError(f"a pattern for {shown(self.field)} is a text, not {shown(self.pattern)}")
        _check_text(self.field, self.pattern)

    @property
    def fields(self) -> set[str]:
        """The names of the fields that it is about."""
        return {self.field}


@dataclass(frozen=True)
class Exists:
    """The field is there, and neither null nor an empty list."""

    field: str

    def __post_init__(self) -> None:
        _check_field(self.field)

    @property
    def fields(self) -> set[str]:
        """The names of the fields that it is about."""
        return {self.field}


@dataclass(frozen=True)
class Within:
    """The field is a place on Earth at most `meters` from a latitude and a longitude, in degrees."""

    field: str
    latitude: float
    longitude: float
    meters: float

    def __post_init__(self) -> None:
        _check_field(self.field)
        for name, most in (("latitude", 90), ("longitude", 180)):
            degrees = _number(self.field, getattr(self, name))
            if abs(degrees) > most:
                raise FilterError(f"a {name} is from -{most} to {most} degrees, not {degrees:g}")
            object.__setattr__(self, name, float(degrees))
        meters = _number(self.field, self.meters)
        if meters <= 0:
            raise FilterError(f"a distance on the map is more than 0 meters, not {meters:g}")
        object.__setattr__(self, "meters", min(float(meters), FARTHEST))

    @property
    def fields(self) -> set[str]:
        """The names of the fields that it is about."""
        return {self.field}


@dataclass(frozen=True)
class _Filters:
    """Several filters."""

    filters: tuple["Filter", ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", _filters(self.filters))

    @property
    def fields(self) -> set[str]:
        """The names of the fields that it is about."""
        return set().union(*(each.fields for each in self.filters))


@dataclass(frozen=True)
class AllOf(_Filters):
    """All of these filters are true; of none, everything is."""


@dataclass(frozen=True)
class AnyOf(_Filters):
    """One of these filters is true; of none, nothing is."""


@dataclass(frozen=True)
class Not:
    """The filter is not true: also of points that have none of its fields."""

    filter: "Filter"

    def __post_init__(self) -> None:
        _filters((self.filter,))

    @property
    def fields(self) -> set[str]:
        """The names of the fields that it is about."""
        return self.filter.fields


Filter: TypeAlias = Union[Among, Between, Like, Exists, Within, AllOf, AnyOf, Not]  # noqa: UP007 - names each other

#: A filter of one field.
Condition: TypeAlias = Among | Between | Like | Exists | Within

#: What searches take: a filter, or payload fields with the values allowed in each, all of which must match.
Where: TypeAlias = Filter | Mapping[str, Sequence[Label]]

#: The classes of `Filter`.
KINDS = (Among, Between, Like, Exists, Within, AllOf, AnyOf, Not)


def filter_of(where: Where | None) -> Filter | None:
    """Return what is given as a filter; None if all points count.

    Raises
    ------
    FilterError
        Something else, or values that Qdrant would misread.
    """
    if where is None or isinstance(where, KINDS):
        return None if where is None or where == AllOf(()) else where
    if not isinstance(where, Mapping):
        raise FilterError(
            "where is a filter (cbir.collection.filter, or text read by cbir.collection.filter_text), or a dict of "
            f"fields and the values allowed in each, not {shown(where)}"
        )
    return both(*(Among(field, values) for field, values in where.items()))  # type: ignore[arg-type]


def both(*filters: Filter | None) -> Filter | None:
    """Return a filter that is true if all of these are; None, which every point passes, counts for nothing."""
    given = tuple(each for each in filters if each is not None)
    return AllOf(given) if len(given) > 1 else given[0] if given else None


def conditions_of(condition: Filter) -> Iterator[Condition]:
    """Yield the conditions that a filter is made of."""
    if isinstance(condition, Not):
        yield from conditions_of(condition.filter)
    elif isinstance(condition, AllOf | AnyOf):
        for each in condition.filters:
            yield from conditions_of(each)
    else:
        yield condition


def shown(value: object) -> str:
    """Return what somebody wrote as a message shows it: in quotes, in one line, and not too long."""
    text = uris.shown(value) if isinstance(value, str) else ascii(value)
    text = text if len(text) <= 100 else f"{text[:97]}..."
    return f"'{text}'" if isinstance(value, str) else text


def _check_field(name: str) -> None:
    if not isinstance(name, str) or not name:
        raise FilterError(f"a field to filter by is named by a text, not {shown(name)}")
    _check_text(name, name)
    if '"' in name or "\\" in name:
        raise FilterError(f"the field {shown(name)} cannot be filtered by: its name holds a quote or a backslash")


def _check_text(field: str, text: str) -> None:
    """Refuse half characters, as names of files that are not UTF-8 have them: Qdrant stores none."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise FilterError(f"a filter on {field!a} has a text that is not valid UTF-8: {shown(text)}")


def _values(field: str, values: object) -> tuple[Label, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise FilterError(f"the values allowed in {shown(field)} must be a list, not {shown(values)}")
    return tuple(_value(field, value) for value in values)


def _value(field: str, value: object) -> Label:
    if isinstance(value, str):
        _check_text(field, value)
        return str(value)
    if type(value).__name__ in ("bool", "bool_"):  # NumPy's own is none of Python's, and no whole number either
        return bool(value)
    if isinstance(value, Integral):
        if abs(int(value)) >= 2**63:
            raise FilterError(f"a filter on {shown(field)} takes whole numbers of 64 bits, not {value}")
        return int(value)
    raise FilterError(f"a filter on {shown(field)} takes whole numbers and texts, not {shown(value)}")


def _number(field: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise FilterError(f"a filter on {shown(field)} takes finite numbers, not {shown(value)}")
    return int(value) if isinstance(value, Integral) else float(value)


def _bound(field: str, value: Bound) -> Bound:
    if not isinstance(value, str):
        return _number(field, value)
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise FilterError(
            f"a time in a filter on {shown(field)} is written as 2024-06-01T12:00:00Z, not {shown(value)}"
        ) from None
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _order(bound: Bound) -> Any:
    """Return a bound as what can be compared with another of its kind."""
    return datetime.fromisoformat(bound) if isinstance(bound, str) else bound


def _filters(filters: Iterable["Filter"]) -> tuple["Filter", ...]:
    found = tuple(filters)
    for each in found:
        if not isinstance(each, KINDS):
            raise FilterError(f"a filter is made of filters, not of {shown(each)}")
    return found
