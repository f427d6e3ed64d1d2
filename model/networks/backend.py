"""Keras, imported when it is first used and without its log messages.

Only training, export and denoising need it: TensorFlow takes seconds to
import, and a search must never pay for it.
"""

import contextlib
import functools
import importlib
import logging
import os
import types

from cbir.core.errors import CbirError
from cbir.core.extras import to_install
from cbir.core.workers import usable_cores
from cbir.model.quiet import without_lines


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
        # TensorFlow's C++ logs to standard error before it reads its settings.
        with without_lines(b""):
            module = importlib.import_module("keras")
            if module.backend.backend() == "tensorflow":
                logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of several networks in one process
                _one_thread_an_operation()
            return module
    except ImportError as error:
        raise CbirError(
            f"training, importing and denoising need Keras and TensorFlow ({error}); "
            f"they are cbir's extra 'train': {to_install('train')}"
        ) from None


def _one_thread_an_operation() -> None:
    """Let TensorFlow run operations side by side, one thread each, as `cbir.model.networks.faster` needs.

    This is possible only before its first operation; if TensorFlow has been used in
    this process already, its threads stay as they are.
    """
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(usable_cores())
