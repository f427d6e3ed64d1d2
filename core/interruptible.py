"""Ctrl-C during a call into a library that knows nothing of it.

Python tells the main thread of a signal once that is back from whatever library it is in, which may be never. So the
call is made in another thread, and the main thread waits, which Ctrl-C ends.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds after which the main thread looks up: not every signal wakes it, and none does on Windows.
_LOOK = 0.2
#: Seconds to wait for a call that was asked to stop; afterwards it is left alone.
_GRACE = 5.0


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
    made: list[T] = []
    failed: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            made.append(call())
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)
        done.set()

    threading.Thread(target=work, name="cbir-call", daemon=True).start()
    try:
        while not done.wait(_LOOK):
            pass
    except BaseException:
        stop()
        done.wait(_GRACE)
        raise
    if failed:
        raise failed.pop()
    return made[0]
