"""An encoder that brings an ONNX graph of its own is one module; and which processors run graphs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import cbir
from cbir.model import graph as module
from cbir.model import registry
from cbir.model.errors import ModelError
from cbir.model.graph import graph, providers, working_providers

#: All that somebody writes to add a pretrained network.
MODULE = """
from dataclasses import dataclass
from pathlib import Path

from cbir.model.kind import Kind
from cbir.model.method import Learned
from cbir.model.preprocessing import Preprocessing

KIND = Kind("mean-colour", "The mean of each channel.", __name__, learns_from="nothing")
REVISION = 1


@dataclass(frozen=True)
class Recipe:
    pass


def preprocessing(suited):
    return Preprocessing(20, 24, 3, fit="squash", mean=(0.5, 0.4, 0.3), deviation=(0.1, 0.2, 0.4), layout="NCHW")


def learn(examples, recipe, *, checkpoint=None, progress=None):
    return Learned(graph=Path(__file__).with_name("network.onnx").read_bytes())
"""


def network(flatten: bool = True) -> bytes:
    """A graph from (n, 3, 20, 24) to (n, 3)."""
    nodes = [helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"])]
    if flatten:
        nodes.append(helper.make_node("Flatten", ["pooled"], ["feature"]))
    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 20, 24])
    shape = ["n", 3] if flatten else ["n", 3, 1, 1]
    made = helper.make_tensor_value_info("feature" if flatten else "pooled", TensorProto.FLOAT, shape)
    model = helper.make_model(
        helper.make_graph(nodes, "mean", [given], [made]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the registry with that one encoder."""
    package = tmp_path / "given_encoders"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "mean_colour.py").write_text(MODULE)
    (package / "network.onnx").write_bytes(network())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "PACKAGES", [*registry.PACKAGES, package.name])
    yield package
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    folder = tmp_path / "colours"
    folder.mkdir()
    for name in ("red", "green", "blue", "white"):
        Image.new("RGB", (50, 30), name).save(folder / f"{name}.png")
    return folder


def test_a_network_of_somebody_else_is_one_module(home: Path, given: Path, colours: Path):
    assert "mean-colour" in [kind.name for kind in registry.encoders()]
    report = cbir.ingest(colours, encoder="mean-colour", index=False)
    assert report.points == 4
    with cbir.open("colours") as searcher:
        red, _ = searcher.search(colours / "red.png", 2)
        assert Path(red.uri).name == "red.png"
        assert red.distance == 0
        feature = searcher.embed(Image.new("RGB", (10, 90), (255, 102, 0)))
    np.testing.assert_allclose(feature, [(1 - 0.5) / 0.1, 0, (0 - 0.3) / 0.4], atol=1e-5)
    assert report.model.metadata["denoises"] is False
    (given / "network.onnx").write_bytes(network().replace(b"mean", b"same"))
    assert cbir.ingest(colours, encoder="mean-colour", retrain=True).model.fingerprint != report.model.fingerprint


def test_a_graph_that_gives_no_rows_of_values_is_refused(home: Path, given: Path, colours: Path):
    (given / "network.onnx").write_bytes(network(flatten=False))
    with pytest.raises(ModelError, match=r"\(n, d\), not \(1, 3, 1, 1\)"):
        cbir.ingest(colours, encoder="mean-colour")


def test_a_graph_that_takes_other_inputs_is_refused(tmp_path: Path):
    (tmp_path / "network.onnx").write_bytes(network())
    with pytest.raises(ModelError, match=r"network\.onnx cannot be run"):
        graph(tmp_path / "network.onnx")(np.zeros((1, 20, 24, 3), np.float32))


def test_graphs_run_on_the_cpu_unless_another_processor_is_named(monkeypatch: pytest.MonkeyPatch):
    assert providers() == working_providers() == ["CPUExecutionProvider"]
    monkeypatch.setenv("CBIR_PROVIDERS", " cpu,CPUExecutionProvider ")
    assert providers() == ["CPUExecutionProvider"]
    _pretend(monkeypatch, "CUDAExecutionProvider", "CPUExecutionProvider")
    monkeypatch.setenv("CBIR_PROVIDERS", "cuda")
    assert providers() == ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_a_gpu_that_is_installed_is_tried_by_itself_and_others_are_not(monkeypatch: pytest.MonkeyPatch):
    _pretend(monkeypatch, "AzureExecutionProvider", "CoreMLExecutionProvider", "CPUExecutionProvider")
    assert providers() == ["CPUExecutionProvider"]
    _pretend(monkeypatch, "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
    assert providers() == ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_a_gpu_that_does_not_work_is_passed_over_unless_it_was_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "network.onnx").write_bytes(network())
    _pretend(monkeypatch, "CUDAExecutionProvider", "CPUExecutionProvider")
    pixels = np.full((2, 3, 20, 24), 0.5, np.float32)
    assert np.allclose(graph(tmp_path / "network.onnx")(pixels), 0.5)
    assert working_providers() == ["CPUExecutionProvider"]
    monkeypatch.setenv("CBIR_PROVIDERS", "cuda")
    with pytest.raises(ModelError, match=r"network\.onnx cannot be loaded.*CUDAExecutionProvider"):
        graph(tmp_path / "network.onnx")


def test_a_gpu_that_fails_at_work_is_left_for_the_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "network.onnx").write_bytes(network())
    _pretend(monkeypatch, "CUDAExecutionProvider", "CPUExecutionProvider")
    loaded = module._loaded

    def failing(source: Path, called: str, threads: int, chosen: list[str]) -> object:
        session = loaded(source, called, threads, ["CPUExecutionProvider"])
        if chosen[0] == "CUDAExecutionProvider":
            session.get_providers = lambda: chosen
            session.run = lambda *_: exec("raise RuntimeError('out of memory')")
        return session

    monkeypatch.setattr(module, "_loaded", failing)
    run, pixels = graph(tmp_path / "network.onnx"), np.full((2, 3, 20, 24), 0.5, np.float32)
    assert np.allclose(run(pixels), 0.5)
    assert np.allclose(run(pixels), 0.5)


def _pretend(monkeypatch: pytest.MonkeyPatch, *available: str) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: list(available))


def test_a_processor_that_there_is_not_is_an_error_that_says_which_there_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "network.onnx").write_bytes(network())
    monkeypatch.setenv("CBIR_PROVIDERS", "quantum,cpu")
    with pytest.raises(ModelError, match=r"'quantum'.*it has .*CPUExecutionProvider"):
        graph(tmp_path / "network.onnx")


def test_onnxruntime_neither_reports_home_nor_says_that_it_cannot():
    code = "from cbir.model.graph import working_providers; print(working_providers())"
    environment = {**os.environ, "HOME": os.devnull, "CBIR_PROVIDERS": "cpu"}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("['CPUExecutionProvider']\n", "")
