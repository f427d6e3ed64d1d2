"""Runs an ONNX graph by onnxruntime.

In: the file. Out: a function from pixels to features.
"""

from pathlib import Path

import numpy as np

from cbir.core.errors import first_line
from cbir.model.errors import ModelError
from cbir.model.method import Run


def graph(path: Path, *, threads: int = 0) -> Run:
    """Load a graph from (n, h, w, c) float32 in [0, 1] to (n, d) float32.

    Parameters
    ----------
    path : Path
    threads : int
        0 uses every core, 1 starts fastest (one query).

    Raises
    ------
    ModelError
        If it cannot be loaded.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base class
        raise ModelError(f"{path} cannot be loaded: {first_line(error)}") from None
    name = session.get_inputs()[0].name

    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {name: images})[0])

    return run
