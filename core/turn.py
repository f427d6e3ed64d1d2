"""One at a time, among threads and worker processes: for what takes so much memory that two of it may be too much.

In: `with turn():`. In a worker process, the process that started it is asked, and the turn lasts until the call ends;
in a thread, a turn within `with one_call():` lasts until the end of that block.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_lock = threading.Lock()
#: In a worker process: waits until the other one says that it is its turn.
_ask: Callable[[], None] | None = None
#: Of this thread: whether it has a turn until its call ends; no such attribute outside a call.
_call = threading.local()


@contextmanager
def one_call() -> Iterator[None]:
    """Have what takes a turn in this block keep it to the end of the block, as what was made in it is held so long."""
    if hasattr(_call, "has_turn"):
        yield
        return
    _call.has_turn = False
    try:
        yield
    finally:
        if _call.has_turn:
            _lock.release()
        del _call.has_turn


@contextmanager
def turn() -> Iterator[None]:
    """Wait for those who have a turn, in any thread and worker process; then have one.

    Turns cannot be nested, but in one call.
    """
    if _ask is not None:
        _ask()
        yield
    elif hasattr(_call, "has_turn"):
        if not _call.has_turn:
            _lock.acquire()
            _call.has_turn = True
        yield
    else:
        with _lock:
            yield


def ask_for_turns(ask: Callable[[], None]) -> None:
    """Ask somebody else for turns from now on: what a worker process does."""
    global _ask
    _ask = ask


if hasattr(os, "register_at_fork"):  # whoever has the lock is not there in a copy of this process
    os.register_at_fork(after_in_child=_lock._at_fork_reinit)  # type: ignore[attr-defined]
