"""Values in a filter that no point has, and what is stored instead: sentences for whoever wrote the filter.

In: a filter that nothing passes. Out: for each such value what is near it: the values that are stored where they are
few, the same in other letters, what is below a folder, what holds the text.
"""

import difflib
import warnings
from collections.abc import Iterator

from cbir.collection.fields import is_path
from cbir.collection.filter import AllOf, Among, AnyOf, Exists, Filter, Like, Not
from cbir.collection.interface import Collection
from cbir.collection.patterns import is_pattern
from cbir.collection.point import Label
from cbir.collection.translation import key_of, stored_values
from cbir.core.errors import CbirWarning
from cbir.core.uris import is_absolute, shown
from cbir.core.words import counted

#: Values that are explained, and stored values of a field that are listed.
_EXPLAINED, _LISTED = 5, 12
#: Points that are looked at to find values.
_PAGE = 256


def unmatched(where: Filter, collection: Collection) -> Iterator[str]:
    """Yield a sentence for each value or pattern that no point has, `Not` aside; of fields that no point has, none.

    Parameters
    ----------
    where : Filter
    collection : Collection
        Asked a dozen times a value.
    """
    explained = 0
    for condition in _single(where):
        if explained == _EXPLAINED:
            break
        if collection.count(where=Exists(condition.field)) and not collection.count(where=condition):
            explained += 1
            why = _pattern(condition, collection) if isinstance(condition, Like) else _value(condition, collection)
            yield f"no image has {_typed(condition)}{why}"


def warn_of_unmatched(where: Filter, collection: Collection) -> None:
    """Warn of each value of a filter that no point has; see `unmatched`."""
    for sentence in unmatched(where, collection):
        warnings.warn(sentence, CbirWarning, stacklevel=2)


def _single(where: Filter) -> Iterator[Among | Like]:
    """Yield the conditions that are to be true, each of one value; the label 7 and the label '7' are typed as one."""
    for condition in _wanted(where):
        if isinstance(condition, Like):
            yield condition
        elif isinstance(condition, Among):
            values: dict[str, list[Label]] = {}
            for value in condition.values:
                values.setdefault(str(value), []).append(value)
            yield from (Among(condition.field, tuple(same)) for same in values.values())


def _wanted(where: Filter) -> Iterator[Filter]:
    """Yield the parts that are to be true: conditions, and `Not` of something."""
    if isinstance(where, AllOf | AnyOf):
        for each in where.filters:
            yield from _wanted(each)
    else:
        yield where


def _value(condition: Among, collection: Collection) -> str:
    """Return what may be meant by a value that no point has, as the rest of a sentence."""
    field, value = condition.field, condition.values[0]
    if isinstance(value, str) and is_path(field):
        if is_absolute(value):
            return _RELATIVE.format(field=field)
        if found := _passing(Like(field, f"{_literal(value.strip('/'))}/**"), collection):
            return found
    stored = _stored(field, collection)
    if len(stored) <= _LISTED:
        return f"; stored are: {', '.join(sorted(_quoted(str(each)) for each in stored))}"
    if not isinstance(value, str) or not value:
        return ""
    if found := _in_other_case(field, _literal(value), collection) or _passing(_holding(field, value), collection):
        return found
    near = difflib.get_close_matches(value, [each for each in stored if isinstance(each, str)], 1)
    return f"; did you mean {_quoted(near[0])}?" if near else ""


def _pattern(condition: Like, collection: Collection) -> str:
    """Return what may be meant by a pattern that no point passes, as the rest of a sentence."""
    field, pattern = condition.field, condition.pattern
    if is_path(field) and is_absolute(pattern):
        return _RELATIVE.format(field=field)
    if is_path(field) and pattern.endswith("/*") and (found := _passing(Like(field, f"{pattern}*"), collection)):
        return found
    return _in_other_case(field, pattern, collection)


#: Fields of paths are those below what was ingested.
_RELATIVE = "; {field} is a path below the folder that was ingested, without that folder's own"


def _passing(condition: Like, collection: Collection) -> str:
    """Return how many points pass another condition."""
    count = collection.count(where=condition)
    return f"; {counted(count, 'image has', 'images have')} {_typed(condition)}" if count else ""


def _in_other_case(field: str, pattern: str, collection: Collection) -> str:
    """Return a stored value that a pattern would match, were upper and lower case the same."""
    if "[" in pattern.replace("\\[", ""):  # a set of characters
        return ""
    either = "".join(f"[{c.lower()}{c.upper()}]" if _has_cases(c) else c for c in pattern)
    page = next(collection.scroll(vectors=False, fields=[field], where=Like(field, either), page=1), None)
    values = [] if page is None else stored_values(page.payloads[0], key_of(field))
    return f"; upper and lower case differ: {_quoted(str(values[0]))} is stored" if values else ""


def _has_cases(character: str) -> bool:
    return character.lower() != character.upper() and len(character.lower()) == len(character.upper()) == 1


def _stored(field: str, collection: Collection) -> set[Label]:
    """Return the values of a field: all, or if there are many, more than are listed."""
    found: set[Label] = set()
    having: Filter = Exists(field)
    while len(found) <= _LISTED:
        page = next(collection.scroll(vectors=False, fields=[field], where=having, page=_PAGE), None)
        values = [] if page is None else [v for payload in page.payloads for v in stored_values(payload, key_of(field))]
        new = {value for value in values if isinstance(value, str | int)} - found
        if not new:
            break
        found |= new
        having = AllOf((Exists(field), Not(Among(field, tuple(found)))))
    return found


def _typed(condition: Among | Like) -> str:
    """Return a condition of one value as it is typed."""
    if isinstance(condition, Like):
        return shown(f"{condition.field}={condition.pattern}")
    return f"{shown(condition.field)}={_quoted(str(condition.values[0]))}"


def _quoted(text: str) -> str:
    """Return a text as it is typed behind `=`: in quotes if it would be read as something else."""
    plain = text and text == text.strip() and not is_pattern(text) and not set(text) & set(',"')
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return shown(text) if plain else f'"{shown(escaped)}"'


def _literal(text: str) -> str:
    """Return the pattern that only this text matches."""
    return "".join(f"\\{each}" if is_pattern(each) else each for each in text)


def _holding(field: str, text: str) -> Like:
    """Return the condition that a field holds a text."""
    anything = "**" if is_path(field) else "*"
    return Like(field, f"{anything}{_literal(text)}{anything}")
