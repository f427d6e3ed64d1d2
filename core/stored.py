"""JSON: written so that any name can be in it, and read in bounds, its values as the types that they must have.

In: a file's text, or a value of such an object and its name there. Out: the object, or the value. Whatever JSON a file
holds, there is no other error than ValueError, which says what is wrong: whoever reads the file names it, and says
what to do about it.
"""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

#: Bytes of a file that is read: cbir writes some kilobytes, and a file from elsewhere does not decide on the memory.
MOST_BYTES = 64_000_000

#: The most that fits the 64 bits of everything that such a number is handed to.
_LARGEST = 2**63 - 1


#: What JSON may hold as it is, and a terminal must not see; half characters, which no encoding has.
_RAW = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def json_text(document: Any, indent: int | None = None, *, ascii_only: bool = False) -> str:
    r"""Return JSON values as text that UTF-8 can encode and a terminal may see.

    Parameters
    ----------
    document : object
    indent : int, optional
        By default all is in one line.
    ascii_only : bool
        Escape all letters that are not ASCII.

    Returns
    -------
    str
        Control characters, and marks that turn the writing round, are escaped. So are the bytes of a name that is not
        UTF-8, each as half a character (`\udce9`): `os.fsencode` of what Python reads is that name. Numbers that JSON
        does not have, such as infinity, are null.
    """
    try:
        text = json.dumps(document, indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document), indent=indent, ensure_ascii=ascii_only)
    return _RAW.sub(lambda odd: f"\\u{ord(odd[0]):04x}", text)


def _finite(value: Any) -> Any:
    """Return JSON values with null for numbers that are none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object.

    Raises
    ------
    OSError
        As the system gives it.
    ValueError
        Too large, or not a JSON object.
    """
    with path.open("rb") as file:
        # As much as there is, and a byte: a file that grows is too large, or damaged.
        content = file.read(min(os.fstat(file.fileno()).st_size, MOST_BYTES) + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES / 1e6:.0f} MB")
    return parse_object(content)


def parse_object(content: bytes | str) -> dict[str, Any]:
    """Return the JSON object in a text or in UTF-8; ValueError if there is none."""
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return an_object(found, "it")


def an_object(value: object, name: str) -> dict[str, Any]:
    """Return a JSON object, or raise ValueError."""
    if not isinstance(value, dict):
        raise _wrong(name, "an object", value)
    return value


def a_text(value: object, name: str) -> str:
    """Return a text, or raise ValueError."""
    if not isinstance(value, str):
        raise _wrong(name, "a text", value)
    return value


def a_path(value: object, name: str) -> str:
    """Return a text that the system takes for a path, or raise ValueError."""
    text = a_text(value, name)
    if "\0" in text:
        raise ValueError(f"{name} holds a character that no path has")
    return text


def a_whole_number(value: object, name: str, least: int = 0, most: int = _LARGEST) -> int:
    """Return a whole number from `least` to `most`, or raise ValueError; true and false are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "a whole number", value)
    if not least <= value <= most:
        raise ValueError(f"{name} is not {least} to {most}" if most != _LARGEST else f"{name} is less than {least}")
    return value


def a_number(value: object, name: str) -> float:
    """Return a finite number, or raise ValueError; true and false are none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(name, "a number", value)
    if abs(value) > _LARGEST or not math.isfinite(value):
        raise ValueError(f"{name} is too large, or not a number")
    return value


def a_list(value: object, name: str, length: int | None = None) -> list[Any]:
    """Return a list, of `length` values where that is given, or raise ValueError."""
    if not isinstance(value, list | tuple):
        raise _wrong(name, "a list", value)
    if length is not None and len(value) != length:
        raise ValueError(f"{name} holds {len(value)} values instead of {length}")
    return list(value)


def required(stored: dict[str, Any], name: str) -> Any:
    """Return a value that must be there, or raise ValueError."""
    if name not in stored:
        raise ValueError(f"it has no {name}")
    return stored[name]


def _wrong(name: str, expected: str, value: object) -> ValueError:
    return ValueError(f"{name} is {_KINDS.get(type(value), 'something else')} instead of {expected}")


_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}
