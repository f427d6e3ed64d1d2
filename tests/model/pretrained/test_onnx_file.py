"""Any ONNX file is an encoder, or is refused in one line that says why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import cbir
from cbir.core.errors import CbirWarning
from cbir.model.bundle import read_bundle
from cbir.model.errors import ModelError
from cbir.model.graph import graph_of
from cbir.model.pretrained import onnx_reading
from cbir.model.pretrained.onnx_file import onnx_encoder
from tests.commands import failure, run
from tests.model.pretrained.graphs import FLOAT, mean_colour, network, tokens, two_towers, value

PLAIN = {"mean": 0, "deviation": 1}
#: Orange: red 1, green 0.4, blue 0.
ORANGE = (255, 102, 0)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "networks"
    folder.mkdir()
    return folder / "net.onnx"


def save(place: Path, model: onnx.ModelProto, said: Any = None, beside: str = "net.json") -> Path:
    place.write_bytes(model.SerializeToString())
    if said is not None:
        (place.parent / beside).write_text(json.dumps(said))
    return place


def feature(path: Path, picture: Image.Image) -> np.ndarray:
    learned, preprocessing = onnx_encoder(path)
    return graph_of(learned.graph, "it")(preprocessing.inputs(preprocessing.pixels(picture)[None]))[0]


def unit(*values: float) -> np.ndarray:
    return np.array(values) / np.linalg.norm(values)


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    folder = tmp_path / "colours"
    folder.mkdir()
    for name in ("red", "green", "blue", "white"):
        Image.new("RGB", (50, 30), name).save(folder / f"{name}.png")
    return folder


def test_a_folder_is_ingested_and_searched_by_a_network_in_a_file(home: Path, place: Path, colours: Path):
    save(place, mean_colour(), {**PLAIN, "mean": [0.5, 0, 0], "licence": "MIT"})
    printed = run("ingest", colours, "--model", place).stdout
    assert "encoder     onnx-file" in printed
    with cbir.open("colours") as searcher:
        red, _ = searcher.search(colours / "red.png", 2)
        assert (Path(red.uri).name, red.distance) == ("red.png", 0)
        np.testing.assert_allclose(searcher.embed(Image.new("RGB", (9, 9), ORANGE)), unit(0.5, 0.4, 0), atol=1e-5)
        metadata = searcher.bundle.metadata
    assert metadata["network"]["file"] == "net.onnx"
    assert metadata["network"]["licence"] == "MIT"
    place.unlink()
    Image.new("RGB", (9, 9), ORANGE).save(colours / "orange.png")
    added = json.loads(run("ingest", colours, "--json").stdout)
    assert (added["points"], added["ingested"]) == (5, 1)
    assert "--model net.onnx" in failure("ingest", colours, "--retrain")
    assert "--model net.onnx" in failure("ingest", colours, "--collection", "other", "--encoder", "onnx-file")
    assert "compare --encoder net.onnx" in failure("compare", "--source", colours.parent, "--encoder", "onnx-file")


def test_the_bundle_is_the_same_each_time_and_found_again(home: Path, place: Path, colours: Path):
    save(place, mean_colour(), PLAIN)
    one = cbir.ingest(colours, model=place).model
    other = cbir.ingest(colours, collection="other", model=place).model
    assert one.path == other.path
    capital = place.rename(place.with_name("NET.ONNX"))
    place.with_suffix(".json").rename(capital.with_suffix(".json"))
    assert cbir.ingest(colours, collection="capital", model=capital).model.path == one.path
    save(place, mean_colour(), {"mean": 0.5, "deviation": 0.5})
    assert cbir.ingest(colours, collection="third", model=place).model.fingerprint != one.fingerprint
    with pytest.raises(cbir.CbirError, match="colours"):
        cbir.ingest(colours, model=place)


@pytest.mark.parametrize("opset", [11, 17, 18])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, unit(1, 0.4)),
        ({"token": "cls"}, unit(1, 0.4)),
        ({"token": "mean"}, unit(1.4 / 3, 1.4 / 3)),
        ({"token": "cls", "normalise": False}, [1, 0.4]),
    ],
)
def test_a_token_is_chosen(place: Path, opset: int, said: dict[str, Any], expected: Any):
    save(place, tokens(opset), {**PLAIN, "size": [20, 10], **said})
    learned, preprocessing = onnx_encoder(place)
    made = graph_of(learned.graph, "it")(preprocessing.inputs(np.full((1, 20, 10, 3), ORANGE, np.uint8)))
    np.testing.assert_allclose(made, [expected], atol=1e-5)


@pytest.mark.parametrize("last", [False, True])
def test_places_are_averaged_in_either_layout(place: Path, last: bool):
    shape = ["n", 8, 8, 3] if last else ["n", 3, 8, 8]
    model = network([helper.make_node("Relu", ["x"], ["y"])], [value("x", shape)], [value("y", shape)])
    save(place, model, PLAIN)
    _, preprocessing = onnx_encoder(place)
    assert preprocessing.layout == ("NHWC" if last else "NCHW")
    np.testing.assert_allclose(feature(place, Image.new("RGB", (3, 3), ORANGE)), unit(1, 0.4, 0), atol=1e-5)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8])
def test_other_types_of_numbers_are_converted_at_both_ends(place: Path, kind: int):
    nodes = [
        helper.make_node("Cast", ["x"], ["floats"], to=FLOAT),
        helper.make_node("GlobalAveragePool", ["floats"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["y"], to=(made := FLOAT if kind == TensorProto.UINT8 else kind)),
    ]
    save(place, network(nodes, [value("x", ["n", 3, 8, 8], kind)], [value("y", ["n", 3], made)]), PLAIN)
    np.testing.assert_allclose(feature(place, Image.new("RGB", (3, 3), ORANGE)), unit(1, 0.4, 0), atol=1e-3)


def test_an_output_that_is_a_feature_by_its_name_is_preferred(place: Path):
    model = tokens()
    model.graph.node.add(op_type="Flatten", input=["pooled"], output=["pooler_output"])
    model.graph.output.append(value("pooler_output", ["batch", 3]))
    save(place, model, {**PLAIN, "size": 8})
    np.testing.assert_allclose(feature(place, Image.new("RGB", (3, 3), ORANGE)), unit(1, 0.4, 0), atol=1e-5)


def test_of_two_towers_the_one_of_pictures_is_kept(place: Path):
    save(place, two_towers(), PLAIN)
    learned, _ = onnx_encoder(place)
    kept = onnx.load_from_string(learned.graph).graph
    assert [given.name for given in kept.input] == ["pixel_values"]
    assert "table" not in [tensor.name for tensor in kept.initializer]
    np.testing.assert_allclose(feature(place, Image.new("RGB", (3, 3), ORANGE)), unit(1, 0.4, 0), atol=1e-5)


def test_what_the_branches_of_an_if_use_is_kept(place: Path):
    def branch(name: str) -> onnx.GraphProto:
        return helper.make_graph(
            [helper.make_node("Add", ["flat", name], [f"{name}_sum"])], name, [], [value(f"{name}_sum", ["n", 3])]
        )

    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Add", ["zeros", "zeros"], ["nothing"]),
        helper.make_node("If", ["yes"], ["y"], then_branch=branch("nothing"), else_branch=branch("ones")),
    ]
    weights = {"yes": np.array(True), "zeros": np.zeros(3, np.float32), "ones": np.ones(3, np.float32)}
    save(place, network(nodes, [value("x", ["n", 3, 8, 8])], [value("y", ["n", 3])], weights), PLAIN)
    np.testing.assert_allclose(feature(place, Image.new("RGB", (3, 3), ORANGE)), unit(1, 0.4, 0), atol=1e-5)


def _fixed() -> onnx.ModelProto:
    """One that reshapes its only picture to one row, and so cannot take two."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "one row"], ["y"]),
    ]
    return network(nodes, [value("x", [1, 3, 8, 8])], [value("y", [1, 3])], {"one row": np.array([1, 3])})


def _batchwise() -> onnx.ModelProto:
    """One whose values depend on the largest of the whole batch, as in dynamic quantization."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Div", ["flat", "most"], ["y"]),
    ]
    weights: dict[str, np.ndarray] = {}
    return network(nodes, [value("x", ["n", 3, 8, 8])], [value("y", ["n", 3])], weights)


@pytest.mark.parametrize("model", [_fixed(), _batchwise()], ids=["fixed", "batchwise"])
def test_a_graph_that_cannot_take_many_pictures_takes_them_one_by_one(place: Path, model: onnx.ModelProto):
    save(place, model, {"mean": -0.1, "deviation": 1, "normalise": False})
    learned, preprocessing = onnx_encoder(place)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    encode = graph_of(learned.graph, "it")
    inputs = preprocessing.inputs(pixels)
    assert np.array_equal(encode(inputs), np.concatenate([encode(inputs[i : i + 1]) for i in range(5)]))


def test_one_that_was_exported_for_one_picture_takes_many_at_once_if_it_can(place: Path):
    save(place, mean_colour((1, 3, 20, 24)), PLAIN)
    learned, _ = onnx_encoder(place)
    assert not onnx.load_from_string(learned.graph).graph.input[0].type.tensor_type.shape.dim[0].dim_value


def test_weights_in_a_file_beside_it_come_into_the_bundle(home: Path, place: Path, colours: Path):
    model = network(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "w"], ["y"]),
        ],
        [value("x", ["n", 3, 8, 8])],
        [value("y", ["n", 400])],
        {"w": np.random.default_rng(0).normal(size=(3, 400)).astype(np.float32)},
    )
    onnx.save(model, place, save_as_external_data=True, location="net.data")
    assert (place.parent / "net.data").is_file()
    place.with_suffix(".json").write_text(json.dumps(PLAIN))
    bundle = cbir.ingest(colours, model=place).model
    (place.parent / "net.data").unlink()
    assert read_bundle(bundle.path).encoder().encode(np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 400)
    assert "'net.data', which is missing" in failure("ingest", colours, "--model", place)


@pytest.mark.parametrize("most", [100, 8000])
def test_what_a_bundle_cannot_hold_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch, most: int):
    model = mean_colour()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(2000, np.float32), "w"))
    onnx.save(model, place, save_as_external_data=True, location="net.data")
    assert place.stat().st_size < 8000
    monkeypatch.setattr(onnx_reading, "_MAX_BYTES", most)
    with pytest.raises(ModelError, match="with its data, and a model bundle holds one file of at most 2 GB"):
        onnx_encoder(place)


def external(model: onnx.ModelProto, name: str, **said: Any) -> None:
    """Add a tensor of 12 floats whose data is in a file."""
    tensor = model.graph.initializer.add(name=name, data_type=FLOAT, dims=[12])
    tensor.data_location = TensorProto.EXTERNAL
    for key, said_value in said.items():
        tensor.external_data.add(key=key, value=str(said_value))


@pytest.mark.parametrize("said", [{}, {"offset": 0, "length": 48_000}])
def test_many_tensors_in_one_place_of_a_file_count_each(place: Path, monkeypatch: pytest.MonkeyPatch, said: Any):
    (place.parent / "net.data").write_bytes(bytes(48_000))
    model = mean_colour()
    for number in range(20):
        external(model, f"w{number}", location="net.data", **said)
    save(place, model, PLAIN)
    monkeypatch.setattr(onnx_reading, "_MAX_BYTES", 200_000)
    with pytest.raises(ModelError, match="with its data, and a model bundle holds"):
        onnx_encoder(place)


@pytest.mark.parametrize("said", [{"offset": 9}, {"offset": -1}, {"length": 49}, {"length": "many"}, {"length": -1}])
def test_what_a_file_does_not_hold_is_not_read_from_it(place: Path, said: dict[str, Any]):
    (place.parent / "net.data").write_bytes(bytes(48))
    model = mean_colour()
    external(model, "w", location="net.data", **{"length": 48, **said})
    save(place, model, PLAIN)
    with pytest.raises(ModelError, match=r"data that 'net\.data' does not hold"):
        onnx_encoder(place)


def test_weights_in_hugging_face_s_cache_are_followed_to_where_they_are(tmp_path: Path):
    repository = tmp_path / "models--us--net"
    place = repository / "snapshots" / "0f" / "onnx" / "net.onnx"
    blobs = repository / "blobs"
    for folder in (place.parent, blobs):
        folder.mkdir(parents=True)
    model = mean_colour()
    model.graph.node[-1].output[0] = "flat"
    model.graph.node.add(op_type="MatMul", input=["flat", "w"], output=["f"])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.diag([2, 0, 0]).astype(np.float32), "w"))
    onnx.save(model, blobs / "1", save_as_external_data=True, location="net.onnx_data", size_threshold=0)
    (blobs / "net.onnx_data").rename(blobs / "2")
    place.symlink_to("../../../blobs/1")
    (place.parent / "net.onnx_data").symlink_to("../../../blobs/2")
    place.with_suffix(".json").write_text(json.dumps(PLAIN))
    np.testing.assert_allclose(feature(place, Image.new("RGB", (3, 3), ORANGE)), unit(1, 0, 0), atol=1e-5)
    (blobs / "2").rename(tmp_path / "secret")
    (blobs / "2").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match=r"'net\.onnx_data', which is a link to .*secret, outside its own folder"):
        onnx_encoder(place)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link/secret", "secret", "", "C:secret"])
def test_weights_outside_of_its_folder_are_never_read(place: Path, tmp_path: Path, location: str):
    (tmp_path / "secret").write_bytes(b"0" * 48)
    (place.parent / "link").symlink_to(tmp_path)
    (place.parent / "secret").symlink_to(tmp_path / "secret")
    model = mean_colour()
    external(model, "w", location=location)
    save(place, model, PLAIN)
    with pytest.raises(ModelError, match="outside its own folder"):
        onnx_encoder(place)


def _not_finite() -> onnx.ModelProto:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Log", ["f"], ["y"]),
    ]
    return network(nodes, [value("x", ["n", 3, 8, 8])], [value("y", ["n", 3])])


def _custom() -> onnx.ModelProto:
    node = helper.make_node("Magic", ["x"], ["y"], domain="org.example")
    return network([node], [value("x", ["n", 3, 8, 8])], [value("y", ["n", 3])], domains=["org.example"])


def _words_too() -> onnx.ModelProto:
    model = two_towers()
    del model.graph.output[1:]
    return model


def _relu(shape: list[Any], kind: int = FLOAT) -> onnx.ModelProto:
    return network([helper.make_node("Relu", ["x"], ["y"])], [value("x", shape, kind)], [value("y", None, kind)])


@pytest.mark.parametrize(
    ("model", "said", "message"),
    [
        (_custom, {}, r"custom operator\(s\) org\.example\.Magic"),
        (_not_finite, {}, "NaN or infinite"),
        (_words_too, {}, "output 'logits' needs attention_mask, input_ids besides a picture"),
        (lambda: tokens(), {}, r'any size \(batch, channels, height, width\): say which in net\.json, .*"size": 224'),
        (lambda: tokens(), {"size": 8, "output": "pooler"}, r"is not there \(its outputs: last_hidden_state\)"),
        (lambda: tokens(), {"size": 8, "token": "pooled"}, "has 3 axes, from which token 'pooled' makes no feature"),
        (mean_colour, {"token": "cls"}, "has 2 axes, from which token 'cls'"),
        (mean_colour, {"size": 224}, r"takes pictures of 20x24, and net\.json says 224x224"),
        (lambda: mean_colour(("n", 3, 60_000, 60_000)), {}, "sides are 1 to 4096 pixels"),
        (lambda: tokens(), {"size": 60_000}, "sides are 1 to 4096 pixels"),
        (lambda: tokens(), {"size": 8, "shortest": 10**9}, "shortest is 1000000000"),
        (mean_colour, {"input": "picture"}, r"no input 'picture'.*its inputs: pixels \(n, 3, 20, 24\)"),
        (lambda: mean_colour((8, 3, 20, 24)), {}, "exactly 8 pictures at a time"),
        (lambda: mean_colour(opset=8), {}, "operators are of version 8"),
        (lambda: _relu(["n", 4, 8, 8]), {}, "no axis is known to be 1 or 3 channels"),
        (lambda: _relu(["n", 3, 64]), {}, "0 inputs of four axes"),
        (lambda: _relu(["n", 3, 64]), {"input": "x"}, "has 3 axes"),
        (lambda: _relu(["n", 3, 8, 8], TensorProto.INT32), {}, "takes INT32, not floats or bytes"),
    ],
)
def test_what_cannot_be_an_encoder_is_refused(
    place: Path, model: Callable[[], onnx.ModelProto], said: dict[str, Any], message: str
):
    save(place, model(), {**PLAIN, **said})
    with pytest.raises(ModelError, match=message) as raised:
        onnx_encoder(place)
    assert str(place) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"not a graph", mean_colour().SerializeToString()[:40]])
def test_what_is_no_onnx_file_is_refused(place: Path, content: bytes):
    place.write_bytes(content)
    with pytest.raises(ModelError, match=r"net\.onnx is not an ONNX file, or is damaged"):
        onnx_encoder(place)
    place.unlink()
    with pytest.raises(ModelError, match="does not exist"):
        onnx_encoder(place)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"sizes": 3}, r"unknown key 'sizes' \(known are size, shortest, fit, .*licence\)"),
        ({"size": "224"}, r'size must be the input\'s side in pixels, or \[height, width\], not "224"'),
        ({"size": [1, 2, 3]}, "size must be"),
        ({"mean": "x"}, "mean must be a number, or a list"),
        ({"token": "last"}, 'token must be "pooled" or "cls" or "mean"'),
        ({"normalise": 1}, "normalise must be true or false"),
        ([1], "does not hold a JSON object"),
    ],
)
def test_wrong_words_beside_it_are_refused(place: Path, said: Any, message: str):
    save(place, mean_colour(), said)
    with pytest.raises(ModelError, match=message) as raised:
        onnx_encoder(place)
    assert "net.json" in str(raised.value)


def test_what_is_assumed_is_said(place: Path):
    save(place, mean_colour())
    with pytest.warns(CbirWarning, match=r"ImageNet's mean and deviation are assumed; say .*net\.json"):
        _, preprocessing = onnx_encoder(place)
    assert preprocessing.mean == (0.485, 0.456, 0.406)
    assert preprocessing.fit == "squash"
    save(place, network([helper.make_node("Relu", ["x"], ["y"])], [value("x", ["n", 8, 8, 1])], [value("y", None)]))
    with pytest.warns(CbirWarning, match="values from 0 to 1 are assumed"):
        _, preprocessing = onnx_encoder(place)
    assert (preprocessing.mean, preprocessing.shape) == (None, (8, 8, 1))
