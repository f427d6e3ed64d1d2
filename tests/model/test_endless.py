"""A graph that never ends: Ctrl-C ends it, wherever it is run."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from cbir.model.graph import graph_of, run_session, session_of
from tests.conftest import picture
from tests.model.pretrained.graphs import network, value


def endless() -> ModelProto:
    """From (n, 3, 8, 8) to (n, 192), in a loop whose condition stays what it is: one of the pictures."""
    given = [value("i", [], TensorProto.INT64), value("c", [], TensorProto.BOOL), value("v", ["n", 3, 8, 8])]
    made = [value("c2", [], TensorProto.BOOL), value("v2", ["n", 3, 8, 8])]
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Identity", ["v"], ["v2"])], "body", given, made
    )
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Less", ["most", "limit"], ["go"]),
        helper.make_node("Loop", ["", "go", "x"], ["y"], body=body),
        helper.make_node("Flatten", ["y"], ["f"]),
    ]
    limit = {"limit": np.array(1000, np.float32)}
    return network(nodes, [value("x", ["n", 3, 8, 8])], [value("f", ["n", 192])], limit)


def test_ctrl_c_ends_it_and_the_graph_can_be_run_again():
    run = graph_of(endless().SerializeToString(), "it")
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        run(np.zeros((2, 3, 8, 8), np.float32))
    assert run(np.full((2, 3, 8, 8), 2000, np.float32)).shape == (2, 192)


def test_threads_run_a_graph_at_once():
    session = session_of(endless().SerializeToString(), "it", 1)
    inputs = [np.full((1, 3, 8, 8), 2000 + number, np.float32) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda x: run_session(session, "f", {"x": x}), inputs))
    assert [each[0, 0] for each in made] == [2000 + number for number in range(16)]


def test_an_ingest_with_it_is_stopped(home: Path, tmp_path: Path):
    (tmp_path / "net.onnx").write_bytes(endless().SerializeToString())
    (tmp_path / "net.json").write_text('{"mean": 0, "deviation": 1}')
    (tmp_path / "pictures").mkdir()
    picture().save(tmp_path / "pictures" / "a.png")
    program = f"""
import threading
from cbir.model import graph
run = graph.run_session

def told(*arguments):
    print("running", flush=True)
    return run(*arguments)

graph.run_session = told
from cbir.cli import main
import sys
sys.argv = ["cbir", "ingest", {str(tmp_path / "pictures")!r}, "--model", {str(tmp_path / "net.onnx")!r}]
main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, stderr
        assert "stopped. Nothing stored is lost" in stderr
        assert "terminate" not in stderr
    finally:
        process.kill()
        process.wait()
