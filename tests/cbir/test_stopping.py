"""Ctrl-C and SIGTERM end a command in order, a second one ends it at once; nothing stored is lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cbir
from tests.conftest import picture
from tests.ingest.test_in_step import consistent, stored

#: An ingest that says when it has stored something, and waits there for some seconds; then it goes on.
SCRIPT = """
import sys, time
from cbir.__main__ import main
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.ingest.read import read

sys.modules["cbir.ingest.read"].BATCH = 16
upsert = EmbeddedCollection.upsert
seconds = float(sys.argv.pop(1))
def slow(self, *points):
    upsert(self, *points)
    print("stored", flush=True)
    time.sleep(seconds)
EmbeddedCollection.upsert = slow
main()
"""


def started(seconds: float, *arguments: object) -> "subprocess.Popen[str]":
    """Start a command, and wait until it has stored something."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(seconds), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CBIR_PROCESSES": "0"},
        # A shell's background job ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "stored\n"
    return process


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    for seed in range(100):
        picture(seed).save(tmp_path / "pictures" / "a" / f"{seed}.png")
    return tmp_path / "pictures"


@pytest.fixture
def model(home: Path, root: Path) -> Iterator[Path]:
    """A model for the pictures; at the end, a collection of them is what an unbroken ingest makes."""
    path = cbir.ingest(root, collection="unbroken", encoder="pixels").model.path
    yield path
    report = consistent(cbir.ingest(root))
    assert 0 < report.unchanged < report.points == 100
    assert stored(home, "pictures") == stored(home, "unbroken")
    assert not list((home / "runs").rglob(".*.partial"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_ends_in_order(root: Path, model: Path, number: signal.Signals, code: int):
    process = started(0.3, "ingest", root, "--model", model)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    last = "cbir: stopped. Nothing stored is lost. Run the same command again to continue."
    assert errors.strip().splitlines()[-1] == last


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_ends_at_once(root: Path, model: Path, number: signal.Signals, code: int):
    process = started(300, "ingest", root, "--model", model)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said = iter(process.stderr.readline, "")
    assert any("Ctrl-C again stops at once" in line for line in said)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors.startswith("cbir: stopped at once. Nothing stored is lost.")


def test_a_signal_that_comes_twice_at_the_same_time_is_one(root: Path, model: Path):
    process = started(0.6, "ingest", root, "--model", model)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.count("stopped.")) == (130, 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_the_imports_ends_in_silence(number: signal.Signals, code: int):
    script = (
        "import importlib, os, sys, time\n"
        "from cbir.__main__ import main\n"
        f"importlib.import_module = lambda name: (os.kill(os.getpid(), {int(number)}), time.sleep(60))\n"
        "sys.argv[1:] = ['info']\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (code, "")
