"""Warnings of other libraries that help nobody, ignored by the thread that causes them and by no other.

`warnings.catch_warnings` is for a process of one thread: the filters belong to the whole process, and of two threads
that change them the later one puts back what the earlier one had put in (before Python 3.14). Here a filter stays for
good, and matches only in threads that are inside of `muted`.
"""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import takewhile
from typing import Any

_lock = threading.Lock()


class _Inside(type):
    """Of a category of warnings: Python asks in the thread that warns whether a warning is of that category."""

    ignored: type[Warning]
    inside: threading.local

    def __subclasscheck__(cls, category: type) -> bool:
        return bool(getattr(cls.inside, "depth", 0)) and issubclass(category, cls.ignored)


@cache
def _filter(message: str, module: str, category: type[Warning]) -> tuple[Any, ...]:
    """Return a filter as `warnings.filters` holds it."""
    here = _Inside("Muted", (Warning,), {"ignored": category, "inside": threading.local()})
    return "ignore", re.compile(message, re.IGNORECASE), here, re.compile(module), 0


@contextmanager
def muted(*, message: str = "", module: str = "", category: type[Warning] = Warning) -> Iterator[None]:
    """Ignore some warnings of this thread while the block runs.

    Parameters
    ----------
    message, module : str
        Regular expressions that the beginnings of the warning and of the name of the module that gives it match.
    category : type of Warning
    """
    known = _filter(message, module, category)  # type: ignore[arg-type]  # a class can be hashed
    inside = known[2].inside
    _put_first(known)
    inside.depth = getattr(inside, "depth", 0) + 1
    try:
        yield
    finally:
        inside.depth -= 1


def _put_first(known: tuple[Any, ...]) -> None:
    """Have a filter before all that are not of this module: somebody may have put others there, or put all back."""
    with _lock:
        filters: list[tuple[Any, ...]] = warnings.filters  # type: ignore[assignment]
        ours = list(takewhile(lambda each: isinstance(each[2], _Inside), filters))
        if known not in ours:
            again = known in filters
            filters.insert(0, known)
            if again:  # first there twice, so that no thread misses it
                del filters[len(filters) - 1 - filters[::-1].index(known)]
