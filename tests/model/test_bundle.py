import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from cbir.model.bundle import copy_bundle, read_bundle, write_bundle
from cbir.model.errors import ModelError
from cbir.model.graph import graph
from cbir.model.method import Learned
from cbir.model.networks.autoencoder import INPUT, article_autoencoder
from cbir.model.networks.export import encoder_of, fingerprint_of, load_keras, preprocessing_of
from cbir.model.preprocessing import to_unit
from cbir.model.restoring import restoring


def test_bundle_holds_a_runnable_encoder_and_what_it_was_trained_on(bundle: Path):
    loaded = read_bundle(bundle)
    assert sorted(p.name for p in bundle.iterdir()) == [
        "autoencoder.keras",
        "autoencoder.onnx",
        "encoder.onnx",
        "model.json",
    ]
    assert loaded.dimension == 128
    assert loaded.preprocessing.shape == (28, 28, 1)
    assert loaded.metadata["trained_on"] == "digits"
    assert loaded.metadata["images"] == 1500
    assert loaded.metadata["recipe"] == {"epochs": 2, "batch_size": 128, "noise": 0.5, "seed": 0}
    assert len(loaded.metadata["history"]["loss"]) == 2


def test_onnx_features_are_keras_s(bundle: Path):
    images = np.random.default_rng(0).integers(0, 256, (300, 28, 28, 1), np.uint8)
    loaded = read_bundle(bundle)
    features = loaded.encoder().encode(images)
    assert features.dtype == np.float32
    code = np.asarray(encoder_of(loaded.autoencoder())(to_unit(images)))
    np.testing.assert_allclose(features, code, atol=1e-5)
    assert loaded.encoder(threads=1).encode(images[:0]).shape == (0, 128)


def test_the_graph_restores_what_keras_does(bundle: Path, tmp_path: Path):
    images = to_unit(np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8))
    loaded = read_bundle(bundle)
    restored = restoring(copy_bundle(loaded, tmp_path / "copy"))
    assert restored is not None
    np.testing.assert_allclose(restored(images), np.asarray(loaded.autoencoder()(images)), atol=1e-5)
    assert loaded.metadata["code_shape"] == [4, 4, 8]
    (tmp_path / "copy" / "autoencoder.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="was changed"):
        restoring(read_bundle(tmp_path / "copy"))
    encoder_sha256 = loaded.metadata["encoder_sha256"]  # a graph, and another one
    shutil.copyfile(bundle / "encoder.onnx", tmp_path / "copy" / "autoencoder.onnx")
    other = replace(loaded, path=tmp_path / "copy", metadata={**loaded.metadata, "autoencoder_sha256": encoder_sha256})
    made = restoring(other)
    assert made is not None
    with pytest.raises(ModelError, match="restores no pictures"):
        made(images)
    older = replace(loaded, metadata={**loaded.metadata, "autoencoder_sha256": None})
    with pytest.raises(ModelError, match="--retrain"):
        restoring(older)


def test_fingerprint_is_of_weights_and_preprocessing(bundle: Path):
    model = read_bundle(bundle).autoencoder()
    preprocessing = preprocessing_of(model)
    assert fingerprint_of(encoder_of(model), preprocessing) == read_bundle(bundle).fingerprint
    weights = model.get_weights()
    weights[0] = weights[0] + 1e-6
    model.set_weights(weights)
    assert fingerprint_of(encoder_of(model), preprocessing) != read_bundle(bundle).fingerprint


def test_decoder_is_no_part_of_the_fingerprint():
    one, other = article_autoencoder(3), article_autoencoder(3)
    weights = other.get_weights()
    weights[-1] = weights[-1] + 1
    other.set_weights(weights)
    assert fingerprint_of(encoder_of(one), preprocessing_of(one)) == fingerprint_of(
        encoder_of(other), preprocessing_of(other)
    )


def test_the_fingerprint_tells_apart_what_only_the_wiring_tells_apart():
    def fingerprint(kind: str) -> str:
        pixels = keras.Input((28, 28, 1))
        one, other = keras.layers.ReLU(0.5)(pixels), keras.layers.ReLU(0.25)(pixels)
        joined = {
            "sum": lambda: keras.layers.Add()([one, other]),
            "twice": lambda: keras.layers.Add()([other, other]),
            "max": lambda: keras.layers.MaxPooling2D(2)(one),
            "mean": lambda: keras.layers.AveragePooling2D(2)(one),
        }[kind]()
        model = keras.Model(pixels, keras.layers.ReLU(name="encoder")(joined))
        return fingerprint_of(encoder_of(model), preprocessing_of(model))

    kinds = ("sum", "twice", "max", "mean")
    assert len({fingerprint(kind) for kind in kinds}) == 4
    assert fingerprint("sum") == fingerprint("sum")


def test_a_bundle_is_complete_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cbir.model.networks.export.write_onnx", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path / "models" / "m", Learned(network=article_autoencoder(0)), INPUT)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_graph_that_runs_but_is_not_the_one_that_was_written_is_refused(bundle: Path, tmp_path: Path):
    file = shutil.copytree(bundle, tmp_path / "copy") / "encoder.onnx"
    network = onnx.load(file)
    weights = next(each for each in network.graph.initializer if each.data_type == onnx.TensorProto.FLOAT)
    weights.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(weights), weights.name))
    file.write_bytes(network.SerializeToString())
    assert graph(file, threads=1), "nothing but the checksum tells"
    copy = read_bundle(tmp_path / "copy")
    with pytest.raises(ModelError, match=r"encoder\.onnx is missing or was changed"):
        copy.encoder()
    assert not copy.loads()


@pytest.mark.parametrize("damage", ["graph changed", "graph missing", "no object", "key missing", "no model.json"])
def test_damaged_bundles_are_refused(bundle: Path, tmp_path: Path, damage: str):
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    if damage == "graph changed":
        (copy / "encoder.onnx").write_bytes((copy / "encoder.onnx").read_bytes() + b"\0")
    elif damage == "graph missing":
        (copy / "encoder.onnx").unlink()
    elif damage == "no object":
        (copy / "model.json").write_text("[1]")
    elif damage == "key missing":
        (copy / "model.json").write_text(json.dumps({"fingerprint": "x"}))
    else:
        (copy / "model.json").unlink()
    with pytest.raises(ModelError, match="copy"):
        read_bundle(copy).encoder()


def changed(bundle: Path, copy: Path, **keys: object) -> Path:
    """Copy a bundle with other values in model.json."""
    shutil.copytree(bundle, copy)
    metadata = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps({**metadata, **keys}))
    return copy


def test_a_bundle_of_a_newer_format_is_refused(bundle: Path, tmp_path: Path):
    with pytest.raises(ModelError, match=r"newer cbir \(format 2; this one reads up to 1\): upgrade cbir"):
        read_bundle(changed(bundle, tmp_path / "newer", format=2))


def test_pictures_are_prepared_as_the_bundle_says_or_not_at_all(bundle: Path, tmp_path: Path):
    plain = read_bundle(bundle)
    wide = Image.fromarray(np.repeat(np.arange(200, dtype=np.uint8)[None], 50, axis=0))
    described = plain.preprocessing.describe()
    other = read_bundle(changed(bundle, tmp_path / "squashed", preprocessing={**described, "fit": "squash"}))
    assert other.preprocessing == replace(plain.preprocessing, fit="squash")
    assert other.encoder().preprocessing == other.preprocessing
    assert (other.preprocessing.pixels(wide) != plain.preprocessing.pixels(wide)).any()
    unknown = changed(bundle, tmp_path / "unknown", preprocessing={**described, "fit": "stretch"})
    with pytest.raises(ModelError, match=r"unknown .*fit is 'stretch'.*upgrade cbir"):
        read_bundle(unknown)


def test_a_bundle_of_before_preprocessing_was_stored_is_read(bundle: Path, tmp_path: Path):
    older = changed(bundle, tmp_path / "older")
    metadata = json.loads((older / "model.json").read_text())
    del metadata["preprocessing"], metadata["format"]
    (older / "model.json").write_text(json.dumps(metadata))
    assert read_bundle(older).preprocessing == read_bundle(bundle).preprocessing


def test_a_copy_has_what_this_version_does_not_know(bundle: Path, tmp_path: Path):
    newer = changed(bundle, tmp_path / "newer", licence={"name": "MIT"})
    copied = copy_bundle(read_bundle(newer), tmp_path / "copies" / "one")
    assert copied.metadata["licence"] == {"name": "MIT"}
    assert copied.encoder().fingerprint == read_bundle(bundle).fingerprint


def test_images_of_another_shape_or_with_nan_are_refused(bundle: Path):
    encoder = read_bundle(bundle).encoder()
    with pytest.raises(ModelError, match="28x28x1"):
        encoder.encode(np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(ModelError, match="NaN"):
        encoder.encode(np.full((1, 28, 28, 1), np.nan, np.float32))


def test_layers_of_a_model_may_have_any_names(tmp_path: Path):
    pixels = keras.Input((28, 28, 1))
    code = keras.layers.Dense(4, name="encoder")(keras.layers.Flatten(name="flatten")(pixels))
    keras.Model(pixels, code).save(tmp_path / "model.keras")
    keras.utils.clear_session()  # as in a new process, where names are counted from the beginning
    assert encoder_of(load_keras(tmp_path / "model.keras")).output_shape == (None, 4)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_without_an_encoder_layer_is_refused(tmp_path: Path, suffix: str):
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(name="flat")])
    model.save(tmp_path / f"model{suffix}")
    with pytest.raises(ModelError, match=r"no layer named 'encoder' \(its layers: flat\)"):
        load_keras(tmp_path / f"model{suffix}")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_that_wants_to_run_code_is_refused(tmp_path: Path, suffix: str):
    ran = tmp_path / "ran"
    name = str(ran)
    code = keras.layers.Lambda(lambda x: (open(name, "w").close(), x)[1], name="encoder")  # noqa: PTH123
    model = keras.Sequential([keras.Input((28, 28, 1)), code])
    model.save(tmp_path / f"model{suffix}")
    ran.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="run code"):
        load_keras(tmp_path / f"model{suffix}")
    assert not ran.exists()


def test_files_that_are_no_models_are_refused(tmp_path: Path):
    (tmp_path / "model.keras").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"model\.keras cannot be loaded"):
        load_keras(tmp_path / "model.keras")
    with pytest.raises(ModelError, match="does not exist"):
        load_keras(tmp_path / "missing.h5")
