"""Warnings of a server's threads: what one thread's work warns of is told to whoever asked for it.

Python's warnings are the whole process's; while `sorted_by_thread` is in force, those of a thread in `heard` are
collected, and the others printed once each.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cbir.core.errors import CbirWarning

_thread = threading.local()


@contextmanager
def sorted_by_thread() -> Iterator[None]:
    """Tell the threads' warnings apart while the block runs."""
    printed: set[str] = set()
    with warnings.catch_warnings():
        before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            mine = getattr(_thread, "heard", None)
            if mine is not None and issubclass(category, CbirWarning):
                mine.append(str(message))
            elif str(message) not in printed:
                printed.add(str(message))
                before(message, category, *rest, **more)

        warnings.simplefilter("always", CbirWarning)
        warnings.showwarning = show
        yield


@contextmanager
def heard() -> Iterator[list[str]]:
    """Yield a list to which what this thread warns of is added."""
    before = getattr(_thread, "heard", None)
    mine: list[str] = []
    _thread.heard = mine
    try:
        yield mine
    finally:
        _thread.heard = before
