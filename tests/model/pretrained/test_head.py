"""A head is the same function in NumPy and at the end of a graph, whatever it is given."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.model.graph import graph_of
from cbir.model.pretrained.blueprint import Blueprint
from cbir.model.pretrained.efficientnet import Precision, network
from cbir.model.pretrained.head import Head, Places

VALUES = 40


def some(*, places: bool) -> Head:
    generator = np.random.default_rng(0)
    directions = np.linalg.qr(generator.normal(size=(VALUES, 12)))[0].astype(np.float32)
    anchors = generator.normal(size=(30, 12))
    anchors = (anchors / np.linalg.norm(anchors, axis=1, keepdims=True)).astype(np.float16)
    where = Places(anchors, generator.normal(size=(30, 4)).astype(np.float16), sharpness=30.0, share=0.6)
    return Head(np.full(VALUES, 0.1, np.float32), directions, where if places else None)


def run(head: Head, raw: np.ndarray) -> np.ndarray:
    network = Blueprint()
    network.node("Identity", ["pictures"], "features")
    model = network.model(
        "network", takes=("pictures", "float32", ["n", VALUES]), gives=("features", "float32", ["n", VALUES])
    )
    session = onnxruntime.InferenceSession(head.appended(model).SerializeToString())
    assert [output.name for output in model.graph.output] == ["features"]
    assert [output.name for output in session.get_outputs()] == ["feature"]
    assert session.get_outputs()[0].shape == ["n", head.values]
    return np.asarray(session.run(None, {"pictures": raw})[0])


@pytest.mark.parametrize("places", [False, True])
def test_the_graph_computes_the_same(places: bool):
    head = some(places=places)
    raw = np.random.default_rng(1).normal(size=(2500, VALUES)).astype(np.float32)
    raw[0] = 0
    made = head.apply(raw)
    assert made.dtype == np.float32
    np.testing.assert_allclose(run(head, raw), made, atol=1e-5)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 1, 1e4]), places=st.booleans())
def test_features_are_of_norm_one_whatever_the_scale(seed: int, scale: float, places: bool):
    head = some(places=places)
    raw = np.random.default_rng(seed).exponential(size=(5, VALUES)).astype(np.float32)
    made = head.apply(raw * np.float32(scale))
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(made, head.apply(raw), atol=1e-4)


def test_a_row_of_zeros_gives_no_nan():
    head = Head(np.zeros(VALUES, np.float32), some(places=False).directions)
    nothing = np.zeros((1, VALUES), np.float32)
    assert head.apply(nothing).tolist() == run(head, nothing).tolist() == [[0] * 12]


def test_a_picture_lies_where_the_anchor_most_like_it_lies():
    head = some(places=True)
    assert head.places is not None
    certain = Head(head.mean, head.directions, Places(head.places.anchors, head.places.places, 1e4, 0.5))
    raw = np.random.default_rng(2).exponential(size=(20, VALUES)).astype(np.float32)
    projected = Head(head.mean, head.directions).apply(raw)
    nearest = head.places.places[(projected @ head.places.anchors.T).argmax(axis=1)].astype(np.float32)
    made = certain.apply(raw)
    np.testing.assert_allclose(made[:, :12], projected * 0.5**0.5, atol=1e-6)
    place = made[:, 12:] / 0.5**0.5
    np.testing.assert_allclose(place, nearest / np.linalg.norm(nearest, axis=1, keepdims=True), atol=1e-2)


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_it_follows_the_network_itself(precision: Precision):
    network_itself = network(precision)
    generator = np.random.default_rng(0)
    places = some(places=True).places
    head = Head(np.zeros(1280, np.float32), generator.normal(size=(1280, 12)).astype(np.float32), places)
    pictures = generator.integers(0, 256, (2, 224, 224, 3), np.uint8)
    raw = graph_of(network_itself.SerializeToString(), "the network")(pictures)
    made = graph_of(head.appended(network_itself).SerializeToString(), "network and head")(pictures)
    np.testing.assert_allclose(made, head.apply(raw), atol=1e-5)
