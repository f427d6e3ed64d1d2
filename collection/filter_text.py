"""The small language of filters, as `--where` takes it: `camera="Pixel 8"`, `taken_at>=2024-06`, `folder=Holidays/**`.

In: texts of one condition each, and the fields there are. Out: a filter, or a
`FilterError` of one line that says what to write instead.

A condition is a field, one of `=`, `!=`, `>`, `>=`, `<`, `<=`, and a value. After
`=` and `!=` there may be several values with commas between them, one of which
must be right. Values of texts are patterns (`cbir.collection.patterns`) unless
they are in double quotes; a backslash takes a character for itself. What a value
means depends on the field's type: see `cbir.collection.filter_values`.
"""

import difflib
import re
from collections.abc import Mapping, Sequence

from cbir.collection.fields import BY_NAME, Field
from cbir.collection.filter import Exists, Filter, FilterError, Not, Within, both, shown
from cbir.collection.filter_values import Value, circle, compared, equal, one_of
from cbir.collection.patterns import is_pattern

_CONDITION = re.compile(r'\s*+(?:"((?:[^"\\]|\\.)*)"|((?:[^=<>!"]|!(?!=))+?))\s*(!=|>=|<=|==|=>|=<|=|>|<)(.*)', re.S)

#: What people may call a field.
_MEANT = {
    "album": "folder",
    "class": "label",
    "date": "taken_at",
    "dir": "folder",
    "directory": "folder",
    "file": "name",
    "filename": "name",
    "filesize": "bytes",
    "hash": "sha256",
    "location": "gps",
    "make": "camera",
    "model": "camera",
    "mtime": "modified",
    "path": "uri",
    "place": "gps",
    "size": "bytes",
    "taken": "taken_at",
    "time": "taken_at",
    "type": "format",
}


def parse_where(texts: Sequence[str], fields: Mapping[str, Field] = BY_NAME) -> Filter | None:
    """Read conditions, all of which must be true.

    Parameters
    ----------
    texts : sequence of str
        One condition each.
    fields : Mapping
        The fields there are, by name: by default those that cbir writes; `cbir.collection.stored_fields` knows those of
        a collection as well.

    Returns
    -------
    Filter, or None if there are no texts

    Raises
    ------
    FilterError
        No condition, a field that is not there, or a value that its type does not have.

    Examples
    --------
    >>> parse_where(["width>=4000", "format!=PNG"])
    AllOf(filters=(Between(field='width', least=4000, above=None, most=None, below=None), \
Not(filter=Among(field='format', values=('PNG',)))))
    """
    if isinstance(texts, str):
        raise FilterError("conditions are a list of texts; put a single one into a list")
    return both(*(_condition(text, fields) for text in texts))


def parse_within(text: str, field: str = "gps") -> Within:
    """Read `LATITUDE,LONGITUDE,DISTANCE`, as in `48.85,2.35,10km`.

    Raises
    ------
    FilterError
    """
    return circle(field, text)


def _condition(text: str, fields: Mapping[str, Field]) -> Filter:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise FilterError(
            f"{shown(text)} is no condition; write a field, one of = != > >= < <=, and a value, as in: "
            "camera='Pixel 8' or taken_at>=2024-06-01"
        )
    quoted, plain, operator, rest = found.groups()
    if operator in ("=>", "=<"):
        raise FilterError(f"{operator} in {shown(text)} is written {operator[::-1]}")
    name = plain.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.S)
    field = known_field(name, fields)
    try:
        if operator in ("=", "==", "!="):
            condition = _equal(field, rest)
            return Not(condition) if operator == "!=" else condition
        return compared(field, operator, _one(rest))
    except FilterError as error:
        raise FilterError(f"{shown(text)}: {error}") from None


def _equal(field: Field, rest: str) -> Filter:
    """Return the condition that a field has one of the values that a text lists."""
    if "geo" in field.types and rest.strip() not in ("*", "**"):
        return circle(field.name, rest)
    return one_of([_value(field, value) for value in _values(rest)])


def _value(field: Field, value: Value) -> Filter:
    if not value.quoted and set(value.text) == {"*"} and not field.path:
        return Exists(field.name)
    if field.types == ("list",):
        raise FilterError(f"{field.name} is a list of files; {field.name}=* is true where there are any")
    return equal(field, value)


def _values(rest: str) -> list[Value]:
    """Split what follows `=` at commas, but for those in quotes or after a backslash."""
    values = []
    for quoted, plain in _VALUE.findall(f",{rest}"):
        values.append(
            Value(re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.S) if quoted else plain.strip(), bool(quoted))
        )
    if len(values) > 1 and not all(value.text or value.quoted for value in values):
        raise FilterError('there is nothing beside a comma; a comma of a text is written \\, and an empty text ""')
    return values


#: A comma and what follows it until the next: a text in quotes, or one with backslashes before what is no comma.
_VALUE = re.compile(r',(?:\s*("(?:[^"\\]|\\.)*")\s*(?=,|\Z)|((?:[^,\\]|\\.|\\\Z)*))', re.S)


def _one(rest: str) -> str:
    """Return what follows `>` and its like: a single value."""
    (value, *others) = _values(rest)
    if others:
        raise FilterError("only = and != take several values")
    if not value.quoted and is_pattern(value.text):
        raise FilterError("only = and != take patterns")
    return value.text


def known_field(name: str, fields: Mapping[str, Field]) -> Field:
    """Return a field by its name; FilterError, which lists the fields, if there is none."""
    field = fields.get(name)
    if field is not None:
        return field
    names = [each for each in fields if each.isprintable()]
    known = {*names, *BY_NAME}
    near = _MEANT.get(name.lower()) or next(iter(difflib.get_close_matches(name.lower(), sorted(known), 1)), None)
    hint = f"; did you mean '{near}'?" if near is not None else ""
    raise FilterError(f"no picture has a field {shown(name)}{hint} (fields: {', '.join(names)})")
