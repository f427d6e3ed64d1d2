"""Counts in words: `1 picture`, `2 pictures`, `20.9 KB`."""

import re

#: Of one thing instead of several; in this order. Only what comes first in a reason is counted.
_SINGULAR = (
    (r"^neither files nor folders\b", "neither a file nor a folder"),
    (r"^not pictures\b", "not a picture"),
    (r"^((?:[A-Z]+ |camera raw )?(?:link|file|folder|archive|picture|row|device))s\b", r"\1"),
    (r"^(\w+ that) lead\b", r"\1 leads"),
)


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count and what is counted.

    Parameters
    ----------
    count : int
    one : str
        What one of them is called.
    many : str
        What all other numbers of them are called; by default with an `s` more.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def in_singular(reason: str) -> str:
    """Return what is said of several, as it is said of one: `links that lead nowhere`, `not pictures (.txt)`."""
    words, bracket, details = reason.partition(" (")
    for many, one in _SINGULAR:
        words = re.sub(many, one, words)
    return words + bracket + details


def size(count: int) -> str:
    """Return a number of bytes with a unit, such as `1.5 MB`."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
