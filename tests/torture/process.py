"""A command in a process of its own, which is ended at some moment."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

#: Says when the imports are over: there is nothing to lose before.
START = """
import sys
import cbir.verbs.ingest, cbir.ingest.job, cbir.search.searcher, cbir.evaluate.protocol, qdrant_edge, onnxruntime
from cbir.__main__ import main
print("ready", flush=True)
main()
"""
#: Seconds that a process may take to end by itself, or once it is told to.
PATIENCE = 120


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes
    ----------
    code : int
        What it returned; negative: the signal that killed it.
    seconds : float
        That it took, without its imports.
    said : str
        On both standard output and standard error.
    """

    code: int
    seconds: float
    said: str

    def assert_understood(self) -> None:
        """Check that an error was one that a user can understand."""
        assert "Traceback" not in self.said, self.said
        assert "unexpected" not in self.said, self.said
        # Whoever ends it at once needs no explanation.
        assert self.code != 1 or "cbir: " in self.said, self.said


def start(arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a command, and wait until it begins."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", START, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first == "ready\n", first + process.stdout.read()
    return process


def ended(process: "subprocess.Popen[str]", after: float = PATIENCE, how: signal.Signals | None = None) -> Ended:
    """Wait until a command ends; after some seconds, end it by a signal.

    Its worker processes are to notice that by themselves: they hold its standard output, which is read to the end.

    Parameters
    ----------
    process : Popen
        From `start`.
    after : float
        Seconds.
    how : Signals, optional
        By default, it is an error if the command has not ended by then.
    """
    begun = time.perf_counter()
    try:
        said, _ = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        if how is None:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"{process.args[4:]} does not end") from None
        os.kill(process.pid, how)
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"{process.args[4:]} or a process of it lives on after {how.name}") from None
    return Ended(process.returncode, time.perf_counter() - begun, said)
