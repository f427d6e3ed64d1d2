"""JSON objects on disk: read in bounds, and their values as the types that they must have.

In: a file's text, or a value of such an object and its name there. Out: the object, or the value. Whatever JSON a file
holds, there is no other error than ValueError, which says what is wrong: whoever reads the file names it, and says
what to do about it.
"""

import json
import math
from pathlib import Path
from typing import Any

#: Bytes of a file that is read: cbir writes some kilobytes, and a file from elsewhere does not decide on the memory.
MOST_BYTES = 64_000_000

#: The most that fits the 64 bits of everything that such a number is handed to.
_LARGEST = 2**63 - 1


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
        content = file.read(MOST_BYTES + 1)
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
