"""The network knows what is in a picture, in float and in eight bits."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from PIL import Image
from sklearn.datasets import load_sample_image

from cbir.model.pretrained.efficientnet import network
from cbir.model.pretrained.weights import weights

PRECISIONS = ["float", "int8"]


@pytest.fixture(scope="module")
def sessions() -> dict[str, onnxruntime.InferenceSession]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return {kind: onnxruntime.InferenceSession(network(kind).SerializeToString(), options) for kind in PRECISIONS}


def squashed(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC))


def found_in(picture: np.ndarray, session: onnxruntime.InferenceSession) -> int:
    """The one of ImageNet's classes that a picture is in; the weights include the classifier."""
    (features,) = session.run(["features"], {"pictures": squashed(picture)[None]})
    tensors = weights()
    return int((features @ tensors["_fc.weight"].T + tensors["_fc.bias"])[0].argmax())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_daisy_is_a_daisy(sessions, precision: str):
    assert found_in(load_sample_image("flower.jpg"), sessions[precision]) == 985


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("name", "known"), [("chelsea", {281, 282, 285}), ("coffee", {967, 968})])
def test_a_cat_is_a_cat_and_coffee_is_coffee(sessions, precision: str, name: str, known: set[int]):
    data = pytest.importorskip("skimage.data", reason="scikit-image, whose pictures these are, is not installed")
    assert found_in(getattr(data, name)(), sessions[precision]) in known


def test_features_are_those_of_padding_and_normalisation_as_in_training(sessions):
    """Other paddings and scales still know a daisy; these numbers are of the graph that knows most photographs."""
    down, across = np.indices((224, 224))
    stripes = np.stack([down * across // 9 % 256, across, (down * 3 + across * 7) % 256], axis=-1).astype(np.uint8)
    (features,) = sessions["float"].run(["features"], {"pictures": stripes[None]})
    assert np.linalg.norm(features) == pytest.approx(21.933, abs=0.005)
    assert features.mean() == pytest.approx(0.20759, abs=0.00005)
    assert np.argsort(-features[0])[:3].tolist() == [113, 245, 714]


def parts() -> np.ndarray:
    """32 parts of two photographs, (32, 224, 224, 3)."""
    photographs = [load_sample_image("flower.jpg"), load_sample_image("china.jpg")]
    return np.stack(
        [
            squashed(photograph[top : top + 200, left : left + 200])
            for photograph in photographs
            for top in (0, 70, 140, 210)
            for left in (0, 130, 260, 390)
        ]
    )


def test_eight_bits_make_nearly_the_same_features(sessions):
    taken = parts()
    exact, rounded = (sessions[kind].run(["features"], {"pictures": taken})[0] for kind in PRECISIONS)
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(rounded, axis=1)
    cosine = (exact * rounded).sum(axis=1) / norms
    assert cosine.mean() > 0.99


def test_pictures_in_a_batch_do_not_touch_each_other(sessions):
    taken = parts()[[0, 20]]
    for session in sessions.values():
        (together,) = session.run(["features"], {"pictures": taken})
        alone = [session.run(["features"], {"pictures": picture[None]})[0] for picture in taken]
        assert together.shape == (2, 1280)
        np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-4)


def test_eight_bits_are_computed_in_integers(tmp_path: Path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3  # it warns that the file suits this processor only
    onnxruntime.InferenceSession(network("int8").SerializeToString(), options)
    operators = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert operators.count("QLinearConv") == 49
    assert "Conv" not in operators


def test_no_two_products_of_bytes_and_weights_exceed_sixteen_bits():
    """So that processors which add such pairs in 16 bits compute the same."""
    checked = 0
    for constant in network("int8").graph.initializer:
        if constant.name.endswith("weight.integers") and constant.dims[1] > 1:
            values = np.sort(numpy_helper.to_array(constant).astype(int).reshape(constant.dims[0], -1), axis=1)
            assert (values[:, -2:].clip(0).sum(axis=1) * 255 <= 32767).all()
            assert (values[:, :2].clip(None, 0).sum(axis=1) * 255 >= -32768).all()
            checked += 1
    assert checked == 33
