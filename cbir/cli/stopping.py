"""Ctrl-C and SIGTERM: the first one ends a command in order, the second one at once.

In order: what is in work is stored, and temporary files are removed. That may take a while, and Python tells the main
thread of a signal only when no library is at work there; so a thread of its own waits for the second one. Nothing
stored is lost either way: a batch is durable as soon as it is stored.
"""

import os
import select
import signal
import sys
import threading
import time
from types import FrameType

from cbir.cli.output import note

#: Seconds until it is said that stopping takes a while.
_PATIENCE = 1.0
#: Signals that come so soon after the first are the same key: a terminal and a wrapper such as `uv run` both send one.
_SAME_KEY = 0.2
#: What a command that was stopped ends with, by the signal.
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), which is done as after Ctrl-C."""

    code = CODES[signal.SIGTERM]


def stop_in_order() -> None:
    """Take the signals from now on; to be called once, in the main thread. Not on Windows, which has none of this."""
    if sys.platform == "win32":
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in CODES:
        # A job in the background may be told to ignore Ctrl-C.
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _Stop())
    threading.Thread(target=_end_at_second, args=(reader,), name="cbir-signals", daemon=True).start()


class _Stop:
    """Raises what ends a command, once: what is tidied up then must not be interrupted."""

    _raised = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Handle a signal."""
        if not _Stop._raised:
            _Stop._raised = True
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _end_at_second(reader: int) -> None:
    os.read(reader, 1)
    first = time.monotonic()
    patience: float | None = _PATIENCE
    while True:
        if not select.select([reader], [], [], patience)[0]:
            note("stopping as soon as what is in work is stored; Ctrl-C again stops at once, and loses no more")
            patience = None
            continue
        (number,) = os.read(reader, 1)
        if time.monotonic() - first > _SAME_KEY:
            note("stopped at once. Nothing stored is lost. Run the same command again to continue.")
            os._exit(CODES.get(signal.Signals(number), 130))
