"""Ctrl-C during a call into a library that knows nothing of it.

Python tells the main thread of a signal once that is back from whatever library it is in, which may be never. So the
call is made in another thread, and the main thread waits, which Ctrl-C ends.
"""

import threading
import weakref
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Waiting(Protocol):
    """Something whose calls wait for somebody else, such as a server."""

    def interrupt(self) -> None:
        """End the calls that are in work, in whichever thread."""
        ...


_WAITING: "weakref.WeakSet[Waiting]" = weakref.WeakSet()

#: Seconds after which the main thread looks up: not every signal wakes it, and none does on Windows.
_LOOK = 0.2
#: Seconds to wait for a call that was asked to stop; afterwards it is left alone.
GRACE = 5.0


def interruptible(call: Callable[[], T], stop: Callable[[], object] = lambda: None) -> T:
    """Return what a call returns, or raise what it raises.

    Parameters
    ----------
    call : callable
        Must not mind which thread it is called in. (Where this is not the main thread, it is called in this one.)
    stop : callable
        Asks the call to end, where that is possible; another thread is in the call meanwhile.

    Raises
    ------
    KeyboardInterrupt
        Or whatever else a signal raises in the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    begun = _Call(call)
    try:
        while not begun.done.wait(_LOOK):
            pass
    except BaseException:
        stop()
        begun.done.wait(GRACE)
        raise
    return begun.result()


def abandonable(call: Callable[[], T], stop: threading.Event) -> T:
    """Return what a call returns, or raise what it raises, or leave it alone once `stop` is set.

    For a thread other than the main one, which no signal wakes: a socket that it reads stays open when it is closed.

    Raises
    ------
    TimeoutError
        It was left alone: another thread is still in it, for as long as it takes.
    """
    begun = _Call(call)
    while not begun.done.wait(_LOOK):
        if stop.is_set():
            raise TimeoutError("not waited for any more")
    return begun.result()


class _Call(Generic[T]):
    """A call in a thread of its own, which does not keep the process from ending."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.done = threading.Event()
        self._call = call
        self._made: list[T] = []
        self._failed: list[BaseException] = []
        threading.Thread(target=self._work, name="cbir-call", daemon=True).start()

    def _work(self) -> None:
        try:
            self._made.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            self._failed.append(error)
        self.done.set()

    def result(self) -> T:
        """Return it, or raise it, once `done` is set."""
        if self._failed:
            raise self._failed.pop()
        return self._made[0]


def interrupts(waiting: Waiting) -> None:
    """Have `interrupt_calls` end the calls of this too, for as long as it lives."""
    _WAITING.add(waiting)


def interrupt_calls() -> None:
    """End all calls that wait for somebody else: a thread in one of them is waited for, and may never come back."""
    for waiting in list(_WAITING):
        waiting.interrupt()
