"""Commands as tests run them: within this process, or in one of their own where that is what is tested."""

import contextlib
import io
import os
import pty
import subprocess
import sys
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from cbir.cli import app, main


@dataclass(frozen=True)
class Finished:
    """A finished command."""

    stdout: str
    stderr: str


def run(*arguments: object, code: int = 0, stdin: bytes | None = None, **environment: str) -> Finished:
    """Run a command in this process and check its exit code."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, env=environment)
    assert done.exit_code == code, f"{done.exit_code}: {done.stderr}"
    return Finished(done.stdout, done.stderr)


def run_process(*arguments: object, code: int = 0, **environment: str) -> Finished:
    """Run a command in a process of its own, as users do, and check its exit code."""
    command = [sys.executable, "-m", "cbir", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})
    assert done.returncode == code, done.stderr
    return Finished(done.stdout, done.stderr)


def failure(*arguments: object) -> str:
    """Run a command that must fail with one line on standard error, and return that line."""
    done = run(*arguments, code=1)
    assert done.stdout == ""
    *before, last = done.stderr.strip().splitlines()
    assert all(line.startswith("cbir: collection") for line in before), done.stderr
    assert last.startswith("cbir: ")
    return last


def run_encoded(encoding: str, *arguments: object, code: int = 0) -> tuple[bytes, bytes]:
    """Run a command in this process, on standard streams of an encoding; return the bytes it writes to both."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding) for name in ("stdout", "stderr")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cbir", *map(str, arguments)])
        patch.setattr("cbir.cli.stop_in_order", lambda: None)  # the signals of this process are those of all its tests
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        with pytest.raises(SystemExit) as ended:
            main()
        for stream in streams.values():
            stream.flush()
    stdout, stderr = (stream.buffer.getvalue() for stream in streams.values())
    assert (ended.value.code or 0) == code, stderr
    return stdout, stderr


def run_on_terminal(*arguments: object, **environment: str) -> tuple[bytes, bytes]:
    """Run a command in a process of its own whose standard error is a terminal; return what it writes to both."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "cbir", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=end, stdin=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    os.close(end)
    drawn = []
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while part := os.read(terminal, 65536):
            drawn.append(part)
    os.close(terminal)
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 0, b"".join(drawn)
    return stdout, b"".join(drawn)
