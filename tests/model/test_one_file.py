"""A graph that names another file is not run, whatever onnxruntime would do, wherever it names it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from cbir.model.bundle import read_bundle
from cbir.model.errors import ModelError
from cbir.model.graph import graph, graph_of
from cbir.model.one_file import check_one_file
from cbir.model.pretrained.onnx_file import onnx_encoder
from tests.model.pretrained.graphs import FLOAT, mean_colour, network, value

SECRET = b"0123456789abcdef"


def elsewhere(place: str, name: str = "w") -> TensorProto:
    """Four values that are in another file."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, said in (("location", place), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=said)
    return tensor


def added(tensor: TensorProto | None = None) -> ModelProto:
    """A graph that adds four values to its input."""
    model = network([helper.make_node("Add", ["x", "w"], ["y"])], [value("x", [4])], [value("y", [4])])
    if tensor is not None:
        model.graph.initializer.append(tensor)
    return model


def as_weights(place: str) -> ModelProto:
    return added(elsewhere(place))


def as_constant(place: str) -> ModelProto:
    model = added()
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=elsewhere(place)))
    return model


def in_a_branch(place: str) -> ModelProto:
    inner = helper.make_graph([helper.make_node("Identity", ["v"], ["w1"])], "inner", [], [value("w1", [4])])
    inner.initializer.append(elsewhere(place, "v"))
    model = added()
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    model.graph.initializer.append(yes)
    model.graph.node.insert(0, helper.make_node("If", ["yes"], ["w"], then_branch=inner, else_branch=inner))
    return model


def in_a_function(place: str) -> ModelProto:
    constant = helper.make_node("Constant", [], ["out"], value=elsewhere(place))
    made = helper.make_function("own", "Made", [], ["out"], [constant], [helper.make_opsetid("", 17)])
    model = added()
    model.graph.node.insert(0, helper.make_node("Made", [], ["w"], domain="own"))
    model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def as_a_functions_default(place: str) -> ModelProto:
    model = in_a_function(place)
    (made,) = model.functions
    default = helper.make_attribute("default", elsewhere(place))
    made.attribute_proto.append(default)
    del made.node[0].attribute[:]
    made.node[0].attribute.add(name="value", ref_attr_name="default", type=onnx.AttributeProto.TENSOR)
    return model


def in_a_list(place: str) -> ModelProto:
    model = added(numpy_helper.from_array(np.zeros(4, np.float32), "w"))
    model.graph.node[0].attribute.append(helper.make_attribute("unknown", [elsewhere(place)]))
    return model


def sparse(place: str) -> ModelProto:
    model = added()
    indices = numpy_helper.from_array(np.arange(4), "w.indices")
    model.graph.sparse_initializer.add(values=elsewhere(place), indices=indices, dims=[4])
    return model


def to_train_it(place: str) -> ModelProto:
    model = added(numpy_helper.from_array(np.zeros(4, np.float32), "w"))
    model.training_info.add().initialization.initializer.append(elsewhere(place))
    return model


PLACES = [
    as_weights,
    as_constant,
    in_a_branch,
    in_a_function,
    as_a_functions_default,
    in_a_list,
    sparse,
    to_train_it,
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a graph is; the secret is beside that folder."""
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "net").mkdir()
    monkeypatch.chdir(tmp_path / "net")
    return tmp_path / "net"


@pytest.mark.parametrize("made", PLACES)
@pytest.mark.parametrize("place", ["../secret", "beside"])
def test_another_file_is_never_read(folder: Path, made: Callable[[str], ModelProto], place: str):
    (folder / "beside").write_bytes(SECRET)
    model = made(place)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    message = "wants data from another file: cbir runs only graphs that are one file"
    with pytest.raises(ModelError, match=message):
        graph(folder / "net.onnx")
    with pytest.raises(ModelError, match=message):
        graph_of(model.SerializeToString(), "it")


@pytest.mark.parametrize("made", PLACES)
def test_a_network_to_become_an_encoder_takes_only_what_is_beside_it(folder: Path, made: Callable[[str], ModelProto]):
    (folder / "net.onnx").write_bytes(made("../secret").SerializeToString())
    with pytest.raises(ModelError, match="outside its own folder"):
        onnx_encoder(folder / "net.onnx")


def test_a_model_that_was_changed_is_not_run(bundle: Path, tmp_path: Path):
    shutil.copytree(bundle, tmp_path / "model")
    for file in ("encoder.onnx",):
        model = onnx.load(tmp_path / "model" / file)
        model.graph.initializer.append(elsewhere("../../secret", "more"))
        onnx.save(model, tmp_path / "model" / file)
    with pytest.raises(ModelError):
        read_bundle(tmp_path / "model").encoder()


def test_what_only_has_such_a_name_is_run(folder: Path):
    model = mean_colour()
    model.graph.name = "location of the EPContext"
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    assert graph(folder / "net.onnx")(np.zeros((2, 3, 20, 24), np.float32)).shape == (2, 3)


def test_what_was_compiled_for_one_machine_is_refused(folder: Path):
    model = added(numpy_helper.from_array(np.zeros(4, np.float32), "w"))
    node = helper.make_node("EPContext", ["x"], ["z"], domain="com.microsoft", ep_cache_context="../secret")
    model.graph.node.append(node)
    with pytest.raises(ModelError, match="compiled for one machine"):
        graph_of(model.SerializeToString(), "it")


def test_onnxruntimes_own_format_is_refused(folder: Path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "net.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    content = mean_colour().SerializeToString()
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    assert b"ORTM" in (folder / "net.ort").read_bytes()[:8]
    shutil.copy(folder / "net.ort", folder / "net.onnx")
    for path in (folder / "net.ort", folder / "net.onnx"):
        with pytest.raises(ModelError, match="cannot be loaded"):
            graph(path)
    with pytest.raises(ModelError, match="cannot be loaded"):
        graph_of((folder / "net.ort").read_bytes(), "it")


def test_what_is_no_graph_is_said_so(tmp_path: Path):
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "odd.onnx").write_bytes(b"location, location, location" * 9)
    for name in ("nothing.onnx", "empty.onnx", "odd.onnx"):
        with pytest.raises(ModelError, match=name):
            graph(tmp_path / name)
    with pytest.raises(ModelError):
        check_one_file(tmp_path / "nothing.onnx", "it")
