"""What the value of a condition means: by the type of its field, a text, a number, a size, a time or a place.

In: a field and what was typed. Out: a filter, or a `FilterError` that says what
such a value looks like.

- A text is a pattern where it has `*`, `?` or `[`. (With the latter two it is also the text itself: `IMG[1].jpg` is a
  file's name.) A label is a number as well where it looks like one.
- A size may have a unit: `10MB`, `1.5GiB`.
- A time is a year, a month, a day, a minute or a second: `2024`, `2024-06`, `2024-06-01T12:30`; it means all of that
  span. It may end with a time zone: `Z`, `+02:00`.
- A place is a circle: `48.85,2.35,10km`.
"""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from cbir.collection.fields import Field, FieldType
from cbir.collection.filter import Among, AnyOf, Between, Filter, FilterError, Like, Within, shown
from cbir.collection.patterns import is_pattern, without_escapes


class Value(NamedTuple):
    """What was typed for a value, and whether it was in quotes: then it is no pattern."""

    text: str
    quoted: bool


def equal(field: Field, value: Value) -> Filter:
    """Return the condition that a field has a value; of several types of the field, one will do."""
    conditions: list[Filter] = []
    problem = None
    # What is in quotes is meant as a text, where the field may be one.
    kinds: Sequence[FieldType] = ("keyword",) if value.quoted and "keyword" in field.types else field.types
    for kind in kinds:
        try:
            conditions.append(_EQUAL[kind](field, value))
        except FilterError as error:
            problem = error
    if problem is not None and not conditions:
        raise problem
    return one_of(conditions)


def one_of(conditions: Sequence[Filter]) -> Filter:
    """Return the condition that one of these is true; values of one field are put together."""
    together: dict[str, Among] = {}
    others: list[Filter] = []
    for each in conditions:
        for part in each.filters if isinstance(each, AnyOf) else (each,):
            if isinstance(part, Among):
                before = together[part.field].values if part.field in together else ()
                together[part.field] = Among(part.field, (*before, *part.values))
            else:
                others.append(part)
    found = (*together.values(), *others)
    return found[0] if len(found) == 1 else AnyOf(found)


def compared(field: Field, operator: str, text: str) -> Filter:
    """Return the condition that a field is more or less than a value."""
    if field.clock:
        return _of_span(field, operator, text)
    problem = None
    for kind in field.types:
        if kind in ("integer", "float"):
            try:
                return Between(field.name, **{_BOUNDS[operator]: _number(field, text)})
            except FilterError as error:
                problem = error
        if kind == "datetime":
            try:
                return _of_span(field, operator, text)
            except FilterError as error:
                problem = error
    if problem is not None:
        raise problem
    raise FilterError(f"{field.name} is not more or less than anything; use = or !=")


def circle(name: str, text: str) -> Within:
    """Read `LATITUDE,LONGITUDE,DISTANCE`."""
    found = _CIRCLE.fullmatch(text)
    if found is None:
        raise FilterError(
            "a place is a latitude, a longitude and a distance (in m, km or mi), as in 48.85,2.35,10km, "
            f"not {shown(text)}"
        )
    latitude, longitude, distance, unit = found.groups()
    return Within(name, float(latitude), float(longitude), float(distance) * _METERS[unit.lower()])


_DECIMAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_CIRCLE = re.compile(rf"\s*({_DECIMAL})\s*,\s*({_DECIMAL})\s*,\s*({_DECIMAL})\s*(m|km|mi)\s*", re.I)
_METERS = {"m": 1.0, "km": 1000.0, "mi": 1609.344}
_NUMBER = re.compile(rf"{_DECIMAL}(?:e[+-]?[0-9]{{1,3}})?", re.I)
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_SIZE = re.compile(rf"({_DECIMAL})\s*(?:([kmgt])(i?))?b?", re.I)
#: Of a size: more than any has, and fewer than a float, or Python's `int` of a text, takes.
_MOST_DIGITS = 60
_BOUNDS = {">": "above", ">=": "least", "<": "below", "<=": "most"}


def _text(field: Field, value: Value) -> Filter:
    text = value.text
    if value.quoted or not is_pattern(text):
        return Among(field.name, (text,))
    plain = without_escapes(text)
    if plain is not None:
        return Among(field.name, (plain,))
    pattern = Like(field.name, text)
    return pattern if "*" in text or "\\" in text else AnyOf((Among(field.name, (text,)), pattern))


def _whole(field: Field, value: Value) -> Filter:
    if field.clock:
        return _of_span(field, "=", value.text)
    number = _number(field, value.text)
    if number != int(number) or abs(number) >= 2**63:
        raise FilterError(f"{field.name} is a whole number, not {shown(value.text)}")
    return Among(field.name, (int(number),))


def _real(field: Field, value: Value) -> Filter:
    number = _number(field, value.text)
    return Between(field.name, least=number, most=number)


def _time(field: Field, value: Value) -> Filter:
    return _of_span(field, "=", value.text)


def _truth(field: Field, value: Value) -> Filter:
    truth = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(value.text.lower())
    if truth is None:
        raise FilterError(f"{field.name} is true or false, not {shown(value.text)}")
    return Among(field.name, (truth,))


def _place(field: Field, value: Value) -> Filter:
    return circle(field.name, value.text)


def _nothing(field: Field, value: Value) -> Filter:  # noqa: ARG001 - as the others
    raise FilterError(f"{field.name} cannot be compared; {field.name}=* is true where it is there")


_EQUAL: dict[FieldType, Callable[[Field, Value], Filter]] = {
    "keyword": _text,
    "integer": _whole,
    "float": _real,
    "datetime": _time,
    "bool": _truth,
    "geo": _place,
    "list": _nothing,
}


def _number(field: Field, text: str) -> int | float:
    """Read a number, of bytes with its unit."""
    if field.unit == "bytes":
        found = _SIZE.fullmatch(text.strip())
        if found is None:
            raise FilterError(f"{field.name} is a size such as 500kB, 10MB or 1.5GiB, not {shown(text)}")
        number, unit, binary = found.groups()
        if len(number) > _MOST_DIGITS:
            return _bounded(field, math.inf)
        size = Fraction(number) * (1024 if binary else 1000) ** " kmgt".index((unit or " ").lower())
        return _bounded(field, int(size) if size.denominator == 1 else float(size))
    if _WHOLE.fullmatch(text):
        return _bounded(field, int(text))
    if not _NUMBER.fullmatch(text):
        raise FilterError(f"{field.name} is a number, not {shown(text)}")
    return _bounded(field, float(text))


def _bounded(field: Field, number: float) -> int | float:
    if abs(number) > 1e30:
        raise FilterError(f"{field.name} is never so large")
    return number


def _of_span(field: Field, operator: str, text: str) -> Filter:
    """Return the condition that a time is in a span, before it or after it."""
    begin, end = _span(field, text)
    bounds = {"=": (begin, end), ">=": (begin, None), ">": (end, None), "<": (None, begin), "<=": (None, end)}
    least, below = (None if moment is None else _moment(field, moment) for moment in bounds[operator])
    if least is None and below is None:
        raise FilterError(f"no time is after {shown(text)}")
    return Between(field.name, least=least, below=below)


def _moment(field: Field, moment: datetime) -> int | str:
    """Return a moment as the field holds it."""
    if field.unit == "nanoseconds":
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    return moment.isoformat()


_TIME = re.compile(
    r"\s*([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})"
    r"(?:[T ]([0-9]{1,2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?)?"
    r"\s*(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?)?\s*",
    re.I,
)


def _span(field: Field, text: str) -> tuple[datetime, datetime | None]:
    """Return when a span of time begins, and when it ends: None if that is after all times."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise FilterError(
            f"{field.name} is a time such as 2024, 2024-06, 2024-06-01 or 2024-06-01T12:30, not {shown(text)}"
        )
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    parts = [int(part) for part in (year, month or 1, day or 1, hour or 0, minute or 0, second or 0)]
    try:
        begin = datetime(*parts, microsecond=int((fraction or "0").ljust(6, "0")))  # type: ignore[arg-type,misc]
        return _zoned(field, begin, zone), _ending(field, begin, zone, found)
    except (ValueError, OverflowError, OSError):
        raise FilterError(f"there is no such time as {shown(text)}") from None


def _ending(field: Field, begin: datetime, zone: str | None, found: re.Match[str]) -> datetime | None:
    _, month, day, hour, minute, second, fraction, _ = found.groups()
    try:
        if month is None:
            end = begin.replace(year=begin.year + 1)
        elif day is None:
            end = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
        elif hour is None:
            end = begin + timedelta(days=1)
        elif minute is None:
            end = begin + timedelta(hours=1)
        elif second is None:
            end = begin + timedelta(minutes=1)
        else:
            end = begin + timedelta(microseconds=10 ** (6 - len(fraction or "")))
        return _zoned(field, end, zone)
    except (ValueError, OverflowError):
        return None


def _zoned(field: Field, moment: datetime, zone: str | None) -> datetime:
    """Return a moment in UTC."""
    if zone is not None and zone.upper() != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        if minutes > 59:
            raise ValueError(zone)
        offset = timedelta(hours=hours, minutes=minutes)
        return (moment + offset if zone[0] == "-" else moment - offset).replace(tzinfo=UTC)
    if zone is None and field.clock == "local":
        return moment.astimezone(UTC)
    return moment.replace(tzinfo=UTC)
