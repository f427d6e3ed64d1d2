"""Patterns of texts, as shells and gitignore have them: `Holidays/**`, `*.png`, `IMG_[0-9]?00.jpg`.

In a field that holds a path (`uri`, `folder`, `name`), `*` and `?` stand for
what has no `/`, and `**` for anything; `X/**` is X itself and all below it. In
any other field `*` stands for anything. `[abc]`, `[a-z]` and `[!abc]` are one
character of a set; a backslash takes a character for itself. Upper and lower
case differ.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

_SPECIAL = frozenset("*?[\\")


def is_pattern(text: str) -> bool:
    """Tell whether a text has a character that means something in a pattern."""
    return not _SPECIAL.isdisjoint(text)


def without_escapes(text: str) -> str | None:
    """Return the only text that a pattern matches, if backslashes are all that is special about it; otherwise None."""
    parts = re.findall(r"\\(.)|([^\\])|(\\)\Z", text, re.DOTALL)
    if any(plain in ("*", "?", "[") for _, plain, _ in parts):
        return None
    return "".join(escaped or plain or last for escaped, plain, last in parts)


@lru_cache(maxsize=256)
def compiled(pattern: str, *, path: bool) -> re.Pattern[str]:
    """Return a pattern as a regular expression, for `fullmatch`; a `[` that nothing closes stands for itself."""
    one = "[^/]" if path else "."
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if path and pattern[at:] == "/**":
            parts.append(_BELOW)
            at = len(pattern)
        elif path and pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            parts.append(_FOLDERS)
            at += 3
        elif character == "*":
            end = at + 1
            while pattern[end : end + 1] == "*":
                end += 1
            parts.append(_ANY if end - at > 1 else f"{one}*")
            at = end
        elif character == "?":
            parts.append(one)
            at += 1
        elif character == "[" and (found := _SET.match(pattern, at)):
            parts.append(_set(found[1], found[2], path=path))
            at = found.end()
        else:
            if character == "\\" and at + 1 < len(pattern):
                at += 1
            parts.append(re.escape(pattern[at]))
            at += 1
    return re.compile("".join(_joined(parts)), re.DOTALL)


#: Anything; any number of folders; what is below a folder, or nothing.
_ANY, _FOLDERS, _BELOW = ".*", "(?:.*/)?", "(?:/.*)?"
_STARS = (_ANY, "[^/]*")


def _joined(parts: Sequence[str]) -> Iterator[str]:
    """Yield parts of a regular expression so that a text with many beginnings of a match takes no longer than others.

    What stands between two stars may be taken where it comes first: any other place leaves the second star less to
    match. Not so if the second one has to stop at a `/` and the first has not.
    """
    stars = [place for place, part in enumerate(parts) if part in (*_STARS, _FOLDERS, _BELOW)]
    yield from parts[: stars[0]] if stars else parts
    for place, following in zip(stars, [*stars, len(parts)][1:], strict=True):
        star, fixed = parts[place], "".join(parts[place + 1 : following])
        after = parts[following] if following < len(parts) else _BELOW
        once = star in _STARS and after != _BELOW and (star != _ANY or after in (_ANY, _FOLDERS))
        yield f"(?>{star}?{fixed})" if once else f"{star}{fixed}"


def beginning(pattern: str) -> str:
    """Return the text that everything begins with that a pattern of any field matches; it may be shorter than need be.

    Of `Holidays/**` it is `Holidays`: the folder itself matches as well.
    """
    text = []
    at = 0
    while at < len(pattern) and (pattern[at] == "\\" or pattern[at] not in _SPECIAL):
        if pattern[at:].startswith("/**"):
            break
        if pattern[at] == "\\" and at + 1 < len(pattern):
            at += 1
        text.append(pattern[at])
        at += 1
    return "".join(text)


#: One character of a set: after `[` or `[!`, a `]` that comes first is one of it: `[]` alone is text.
_SET = re.compile(r"\[([!^]?+)(\]?+[^\]]*)\]", re.DOTALL)


def _set(negated: str, characters: str, *, path: bool) -> str:
    """Return a set of characters as a regular expression."""
    ranges = []
    at = 0
    while at < len(characters):
        first, last = characters[at], characters[at]
        if characters[at + 1 : at + 2] == "-" and at + 2 < len(characters):
            last = characters[at + 2]
            at += 2
        at += 1
        if first <= last:
            ranges.append(f"{re.escape(first)}-{re.escape(last)}")
    inside = "".join(ranges)
    if negated:
        return f"[^{inside}{'/' * path}]" if inside or path else "."
    # `[z-a]` holds nothing.
    return (f"(?!/)[{inside}]" if path else f"[{inside}]") if inside else "(?!)"
