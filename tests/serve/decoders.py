"""Decoders that fail, each in its way; a worker process imports no more than this to call one."""

import os
import signal


def take_all(*_: object) -> None:
    """Take more memory than there may be."""
    from cbir.core.memory import bounded_memory

    with bounded_memory(1 << 28):
        bytearray(1 << 29)


def hang(*_: object) -> None:
    """Never end."""
    while True:
        pass


def crash(*_: object) -> None:
    """End the process."""
    os.kill(os.getpid(), signal.SIGSEGV)
