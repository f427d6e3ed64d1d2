"""Keras, imported at the last moment and without its chatter.

Only training, export and denoising come here: TensorFlow takes seconds to
import, and a search must never pay for it.
"""

import contextlib
import functools
import importlib
import os
import sys
import types
from collections.abc import Iterator

from cbir.errors import CbirError


@functools.cache
def keras() -> types.ModuleType:
    """Import Keras 3 on whichever backend `KERAS_BACKEND` names (TensorFlow if none).

    Raises
    ------
    CbirError
        If Keras or its backend is not installed.
    """
    # Before the first import: afterwards TensorFlow has already logged.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _muted_stderr():
            return importlib.import_module("keras")
    except ImportError as error:
        raise CbirError(
            f"training, importing and denoising need Keras and TensorFlow ({error}); "
            "install them with: pip install 'cbir[train]'"
        ) from None


@contextlib.contextmanager
def _muted_stderr() -> Iterator[None]:
    """Send the process's standard error nowhere: TensorFlow's C++ logs there before it reads its settings."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path of ours
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
