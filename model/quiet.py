"""Other libraries' own lines and warnings, kept away from whoever uses cbir.

A damaged picture is reported by cbir, once, with its name; what Pillow warns of
and libtiff prints beside that helps nobody.
"""

import ctypes
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache

from cbir.core.muted import muted

_PRINTING = threading.Lock()


def quiet() -> AbstractContextManager[None]:
    """Ignore what the libraries that decode pictures warn of, in this thread."""
    return muted(module=r"PIL\.|pillow_heif|rawpy")


@cache
def hush() -> None:
    """Keep libtiff from printing, and Pillow's log from being printed where nobody has set logging up; once."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    import PIL._imaging

    # libtiff is linked to Pillow's own module, or part of it; where neither can be reached, it goes on printing.
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(PIL._imaging.__file__)
        for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)


@contextmanager
def without_lines(pattern: bytes) -> Iterator[None]:
    """Keep lines that match a pattern from the standard error of this process; others come out a little later.

    For a library in C that prints there and can be told to do so nowhere else. One thread at a time.
    """
    with _PRINTING, tempfile.TemporaryFile() as kept:
        try:
            shown = os.dup(2)
        except OSError:  # there is no standard error
            yield
            return
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            kept.seek(0)
            rest = b"".join(line for line in kept if not re.search(pattern, line))
            if rest:
                os.write(2, rest)
