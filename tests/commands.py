"""Commands as tests run them: within this process, or in one of their own where that is what is tested."""

import os
import subprocess
import sys
from dataclasses import dataclass

from typer.testing import CliRunner

from cbir.cli import app


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
