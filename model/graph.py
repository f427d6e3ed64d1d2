"""Runs an ONNX graph by onnxruntime, on a GPU where one is installed and works, else on the CPU.

In: the file. Out: a function from an encoder's inputs to features. `CBIR_PROVIDERS` names other processors.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cbir.core.errors import first_line
from cbir.core.interruptible import interruptible
from cbir.core.workers import usable_cores
from cbir.model.errors import ModelError
from cbir.model.method import Inference
from cbir.model.one_file import check_one_file

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Its telemetry would be sent elsewhere, and where it cannot write its identifier into the home folder, it says so on
# standard error. Read when onnxruntime is imported, here and in worker processes.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_CPU = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"
#: Tried by themselves, in this order. Builds of onnxruntime have other providers that are no faster, compute by other
#: rules, or elsewhere: CoreML, OpenVINO, Azure.
_GPUS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "MIGraphXExecutionProvider", "DmlExecutionProvider")
#: What onnxruntime calls an error it prints as well as raises.
_FATAL = 4
#: A graph that returns its input: loading it shows which providers work.
_IDENTITY = (
    b'\x08\x07:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


def providers() -> list[str]:
    """Return onnxruntime's providers to try, in order of preference: GPUs that it was built for, and the CPU.

    `CBIR_PROVIDERS` decides otherwise: names separated by commas, such as `CUDAExecutionProvider` or just `cuda`. What
    a provider cannot run, the CPU does.

    Raises
    ------
    ModelError
        A provider that this installation of onnxruntime does not have.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    wanted = _named()
    if not wanted:
        return [*(name for name in _GPUS if name in available), _CPU]
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


def working_providers() -> list[str]:
    """Return those of `providers` that a graph is run on, in order of preference."""
    return [_CPU] if providers() == [_CPU] else list(session_of(_IDENTITY, "a graph", 0).get_providers())


def graph(path: Path, *, threads: int = 0) -> Inference:
    """Load a graph.

    Parameters
    ----------
    path : Path
    threads : int
        0 uses every core, or a GPU; 1 starts fastest (one query), and on the CPU unless `CBIR_PROVIDERS` is set.

    Returns
    -------
    callable
        From the graph's first input to its first output, (n, d) float32. A graph that takes exactly one picture
        is run for each.

    Raises
    ------
    ModelError
        If it cannot be loaded, or later if it cannot be run.
    """
    return _inference(path, str(path), threads)


def graph_of(content: bytes, name: str, *, threads: int = 1) -> Inference:
    """Load a graph from memory, as `graph` does from a file; `name` is for messages."""
    return _inference(content, name, threads)


def session_of(source: Path | bytes, called: str, threads: int) -> "InferenceSession":
    """Load a graph as onnxruntime has it, for one that has several inputs; parameters as of `graph`."""
    chosen = providers() if threads != 1 or _named() else [_CPU]
    if _named() or chosen == [_CPU]:
        return _loaded(source, called, threads, chosen)
    try:
        with _silence():
            return _loaded(source, called, threads, chosen)
    except ModelError:  # the GPU's libraries or the GPU itself are missing
        return _loaded(source, called, threads, [_CPU])


def run_session(session: "InferenceSession", output: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return one output of a graph; Ctrl-C ends it, also one that would never end. Raises what onnxruntime raises."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = _FATAL

    def stop() -> None:
        options.terminate = True

    return np.asarray(interruptible(lambda: session.run([output], dict(inputs), options), stop)[0])


def _named() -> list[str]:
    return [name.strip() for name in os.environ.get("CBIR_PROVIDERS", "").split(",") if name.strip()]


def _inference(source: Path | bytes, called: str, threads: int) -> Inference:
    session = session_of(source, called, threads)
    given, output = session.get_inputs()[0], session.get_outputs()[0].name
    one_at_a_time = bool(given.shape) and given.shape[0] == 1

    def on(session: "InferenceSession", inputs: np.ndarray) -> np.ndarray:
        parts = np.split(inputs, len(inputs)) if one_at_a_time else [inputs]
        made = [run_session(session, output, {given.name: part}) for part in parts]
        return made[0] if len(made) == 1 else np.concatenate(made)

    def run(inputs: np.ndarray) -> np.ndarray:
        nonlocal session
        try:
            return on(session, inputs)
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base class
            if session.get_providers()[0] == _CPU or _named():
                raise ModelError(f"{called} cannot be run: {first_line(error)}") from None
        # A GPU that nobody asked for has no memory left, or cannot run this graph.
        session = _loaded(source, called, threads, [_CPU])
        return run(inputs)

    return run


def _loaded(source: Path | bytes, called: str, threads: int, chosen: list[str]) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # onnxruntime counts the machine's cores, not those that a container or taskset leaves to this process.
    options.intra_op_num_threads = threads or (cores if (cores := usable_cores()) < (os.cpu_count() or 1) else 0)
    # Threads that wait for work sleep: busy waiting took a third of the time from threads that decode pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # It has a format of its own as well, which may name other files in ways of its own.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.log_severity_level = _FATAL
    check_one_file(source, called)
    try:
        return interruptible(
            # Without the last it would print to standard output that it tries the CPU instead.
            lambda: onnxruntime.InferenceSession(source, options, providers=chosen, enable_fallback=0)
        )
    except Exception as error:  # noqa: BLE001
        raise ModelError(f"{called} cannot be loaded: {first_line(error)}") from None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep onnxruntime from logging that a GPU cannot be used: that was a try."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)
