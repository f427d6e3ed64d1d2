"""Runs an ONNX graph by onnxruntime, on the processors that `CBIR_PROVIDERS` names.

In: the file. Out: a function from an encoder's inputs to features.
"""

import os
from pathlib import Path

import numpy as np

from cbir.core.errors import first_line
from cbir.model.errors import ModelError
from cbir.model.method import Inference

_CPU = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"


def providers() -> list[str]:
    """Return onnxruntime's providers to use, in order of preference: the CPU alone unless `CBIR_PROVIDERS` is set.

    That holds names separated by commas, such as `CUDAExecutionProvider` or just `cuda`. What a
    provider cannot run, the CPU does.

    Raises
    ------
    ModelError
        A provider that this installation of onnxruntime does not have.
    """
    wanted = [name.strip() for name in os.environ.get("CBIR_PROVIDERS", "").split(",") if name.strip()]
    if not wanted:
        return [_CPU]
    import onnxruntime

    available = onnxruntime.get_available_providers()
    by_name = {name.removesuffix(_SUFFIX).lower(): name for name in available}
    found = []
    for name in wanted:
        provider = by_name.get(name.removesuffix(_SUFFIX).lower())
        if provider is None:
            raise ModelError(
                f"CBIR_PROVIDERS names '{name}', which this onnxruntime does not have (it has {', '.join(available)}); "
                "unset it, or install a build of onnxruntime that has it"
            )
        found.append(provider)
    return list(dict.fromkeys([*found, _CPU]))


def graph(path: Path, *, threads: int = 0) -> Inference:
    """Load a graph.

    Parameters
    ----------
    path : Path
    threads : int
        0 uses every core, 1 starts fastest (one query).

    Returns
    -------
    callable
        From the graph's first input to its first output, (n, d) float32.

    Raises
    ------
    ModelError
        If it cannot be loaded, or later if it cannot be run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    chosen = providers()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=chosen)
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base class
        raise ModelError(f"{path} cannot be loaded: {first_line(error)}") from None
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def run(inputs: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(session.run([output], {name: inputs})[0])
        except Exception as error:  # noqa: BLE001
            raise ModelError(f"{path} cannot be run: {first_line(error)}") from None

    return run
