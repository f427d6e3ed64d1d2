"""What values of a field can be counted together by: the year, month or day of a time, the part of a path.

In: a field, and how to group. Out: what each value counts as
(`Collection.facet`), and the condition, as `--where` takes it, that is true of
the points that were counted.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from cbir.collection.fields import Field
from cbir.collection.filter import FilterError, shown
from cbir.collection.point import Label

#: `value`: each by itself; a span of time; `part`: the next part of a path.
By: TypeAlias = Literal["value", "year", "month", "day", "part"]

_PARTS = {"year": 1, "month": 2, "day": 3}
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN = re.compile(r"[\w/. -]")


def ways(field: Field) -> tuple[By, ...]:
    """Return how a field's values can be counted, the usual way first; none for numbers with a fraction and places."""
    if field.clock:
        return ("year", "month", "day")
    if "datetime" in field.types:
        return ("value", "year", "month", "day") if "keyword" in field.types else ("year", "month", "day")
    if field.path:
        return ("value", "part")
    return ("value",) if {"keyword", "integer", "bool"}.intersection(field.types) else ()


def usual_way(field: Field) -> By:
    """Return how a field's values are counted where nothing is said."""
    return next(iter(ways(field)), "value")


@dataclass(frozen=True)
class Grouping:
    """How the values of a field are counted.

    Attributes
    ----------
    field : Field
    by : str
        See `By`.
    below : str
        By part: count only what is at or below this path.

    Raises
    ------
    FilterError
        The field's values cannot be counted so.
    """

    field: Field
    by: By = "value"
    below: str = ""

    def __post_init__(self) -> None:
        possible = ways(self.field)
        if self.by not in possible:
            how = f"only by {', '.join(possible)}, not by {self.by}" if possible else "not at all"
            raise FilterError(f"the values of {shown(self.field.name)} are counted {how}")
        if self.below and self.by != "part":
            raise FilterError("below is for counting by part")

    @property
    def group(self) -> Callable[[Label], Label | None] | None:
        """What each value counts as."""
        if self.by == "value":
            return None
        return self._part if self.by == "part" else self._time

    def condition(self, value: Label) -> str:
        """Return the condition that is true of what was counted as a value."""
        name = self.field.name
        name = name if re.fullmatch(r"[\w-]+", name) else _quoted(name)
        if self.by == "value":
            return f"{name}={_written(value)}"
        if self.by == "part" and value != self.below:
            return f"{name}={_escaped(str(value))}/**"
        return f"{name}={_quoted(str(value)) if self.by == 'part' else value}"

    def _part(self, value: Label) -> Label | None:
        if not isinstance(value, str):
            return None
        if not self.below:
            first, slash, rest = value.partition("/")
            return f"/{rest.partition('/')[0]}" if slash and not first else first  # '/a/b' is below '/a', not ''
        if value == self.below:
            return value
        if not value.startswith(f"{self.below}/"):
            return None
        return f"{self.below}/{value[len(self.below) + 1 :].partition('/')[0]}"

    def _time(self, value: Label) -> Label | None:
        try:
            moment = self._moment(value)
        except (ValueError, OverflowError, OSError):
            return None
        if self.field.clock == "local":
            moment = moment.astimezone()
        return "-".join((f"{moment.year:04}", f"{moment.month:02}", f"{moment.day:02}")[: _PARTS[self.by]])

    def _moment(self, value: Label) -> datetime:
        if isinstance(value, bool):
            raise ValueError("no time")
        if isinstance(value, int):
            if self.field.unit != "nanoseconds":
                raise ValueError("no time")
            return _FIRST + timedelta(microseconds=value // 1000)
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _written(value: Label) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _escaped(text: str) -> str:
    escaped = "".join(each if _PLAIN.fullmatch(each) else f"\\{each}" for each in text)
    return f"\\{escaped}" if escaped.startswith(" ") else escaped
