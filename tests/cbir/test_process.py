"""The command line in a process of its own: exit codes, pipes, and processes side by side."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import qdrant_edge as edge

from cbir.collection import home
from cbir.collection.embedded.state import read_state, write_state
from tests.commands import failure, run, run_process


def test_searches_side_by_side_wait_for_each_other(digits: Path):
    command = [sys.executable, "-m", "cbir", "search", "digits:queries/0", "--json"]
    several = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    done = [process.communicate(timeout=120) for process in several]
    assert [process.returncode for process in several] == [0] * 4, done


def test_info_while_another_process_uses_the_collection(digits: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(home, "BUSY_TIMEOUT", 0.1)
    (shard,) = (digits / "collections" / "digits").glob("shard-*")
    # Edge locks a shard against this process too, if it is opened past our engine.
    used = edge.EdgeShard.load(str(shard))
    try:
        known = json.loads(run("info", "--json").stdout)
        assert known["collections"][0]["points"] == 1500, "as it was closed well"
        state = read_state(shard)
        assert state is not None
        write_state(shard, replace(state, clean=False))
        changing = json.loads(run("info", "--json").stdout)
        write_state(shard, state)
        assert changing["collections"][0]["points"] is None, "as whoever uses it changes it"
        # Embedding needs no points; searching does, and says that another process uses them.
        assert json.loads(run("embed", "digits:queries/0").stdout)["vector"]
        assert "in use by another process" in failure("search", "digits:queries/0")
    finally:
        used.close()


def test_errors_and_wrong_usage_have_exit_codes_of_their_own(home: Path):
    failed = run_process("search", "x.png", code=1)
    assert (failed.stdout, failed.stderr.count("\n")) == ("", 1)
    assert failed.stderr.startswith("cbir: no collection yet")
    assert "Traceback" not in run_process("search", code=2).stderr


def test_a_closed_pipe_is_no_error(digits: Path):
    command = f"{sys.executable} -m cbir search digits:queries/0 -k 1500 | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
