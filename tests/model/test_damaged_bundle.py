"""Whatever stands in model.json: it is a bundle, or an error that names the file; a newer one is no damaged one."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cbir.core.digest import sha256_of
from cbir.model.bundle import Bundle, copy_bundle, read_bundle, write_bundle
from cbir.model.bundles import bundles
from cbir.model.errors import ModelError
from cbir.model.method import Learned
from cbir.model.preprocessing import Preprocessing
from cbir.model.recipe import History
from cbir.model.registry import kind_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)
#: What is written, so that each of its keys is tried.
KEYS = (
    *("format", "encoder", "revision", "recipe", "runs", "dimension", "parameters", "denoises", "code_bits"),
    *("fingerprint", "input_shape", "preprocessing", "created", "trained_on", "training", "images", "seconds"),
    *("history", "encoder_sha256", "words", "notes", "code_shape", "autoencoder_sha256"),
)
PREPROCESSING = ("shape", "fit", "resample", "pad", "mean", "deviation", "layout", "values", "shortest", "trim")

HOSTILE: list[dict[str, Any]] = [
    {"format": "1"},
    {"format": None},
    {"format": 0},
    {"encoder": 5},
    {"encoder": None},
    {"fingerprint": 5},
    {"dimension": "784"},
    {"dimension": 0},
    {"dimension": 1.5},
    {"runs": "../../elsewhere.onnx"},
    {"runs": "/etc/passwd"},
    {"runs": 3},
    {"encoder_sha256": 3},
    {"code_bits": "many"},
    {"code_bits": -1},
    {"revision": [1]},
    {"recipe": "grid=2"},
    {"recipe": {"noise": "much"}},
    {"recipe": {"noise": float("nan")}},
    {"recipe": {"noise": 1e308}},
    {"recipe": {"noise": 10**400}},
    {"recipe": {"noise": -1}},
    {"code_shape": [4.0, 4, 8]},
    {"code_shape": [-4, -4, 8]},
    {"code_shape": ["a", "b", "c"]},
    {"words": 1},
    {"denoises": "no"},
    {"trained_on": {"a": 1}},
    {"images": "1,000"},
    {"images": -1},
    {"seconds": "12"},
    {"seconds": float("nan")},
    {"history": []},
    {"history": {"loss": 5}},
    {"notes": "one"},
    {"notes": [1]},
    {"preprocessing": 5},
    {"preprocessing": {"shape": [28, 28]}},
    {"preprocessing": {"shape": 28}},
    {"preprocessing": {"shape": ["a", "b", "c"]}},
    {"preprocessing": {"shape": [28, 28, 1], "fit": ["crop"]}},
    {"preprocessing": {"shape": [28, 28, 1], "mean": "x"}},
    {"preprocessing": {"shape": [28, 28, 1], "fit": "crop", "shortest": "30"}},
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small bundle, with nothing but arrays."""
    described = kind_of("pixels").describe(kind_of("pixels").recipe())
    learned = Learned(arrays={}, history=History((1.0,), (1.0,)), about={"notes": ["one"]})
    return write_bundle(
        tmp_path_factory.mktemp("bundles") / "whole",
        learned,
        Preprocessing(28, 28, 1),
        described=described,
        trained_on="digits",
        training="x",
        images=3,
        seconds=1.0,
    )


def changed(whole: Bundle, folder: Path, content: bytes) -> Path:
    copy = folder / "changed"
    if not copy.exists():
        copy_bundle(whole, copy)
    (copy / "model.json").write_bytes(content)
    return copy


def test_the_keys_that_are_tried_are_those_that_are_written(whole: Bundle):
    assert {*KEYS} >= {*whole.metadata} - {"notes"}
    assert {*PREPROCESSING} >= {*whole.metadata["preprocessing"]}


@pytest.mark.parametrize("wrong", HOSTILE, ids=lambda wrong: repr(wrong)[:60])
def test_a_value_that_was_never_written_is_refused(whole: Bundle, tmp_path: Path, wrong: dict[str, Any]):
    copy = changed(whole, tmp_path, json.dumps({**whole.metadata, **wrong}).encode())
    with pytest.raises(ModelError, match=r"changed.model\.json is damaged|changed holds a model whose preprocessing"):
        read_bundle(copy)
    assert bundles(tmp_path) == []


@given(
    content=st.binary(max_size=40)
    | JSON.map(json.dumps).map(str.encode)
    | st.tuples(st.sampled_from(KEYS), JSON)
    | st.tuples(st.sampled_from([f"preprocessing.{key}" for key in PREPROCESSING]), JSON)
)
@example(content=b"[" * 100_000)
@example(content=("dimension", 64))
@example(content=("dimension", 2**40))
@example(content=b'{"format": ' + b"9" * 5000 + b"}")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything_is_a_bundle_or_an_error_that_names_it(
    whole: Bundle, tmp_path: Path, content: bytes | tuple[str, Any]
):
    if isinstance(content, tuple):
        name, value = content
        outer, _, inner = name.partition(".")
        new = {**whole.metadata["preprocessing"], inner: value} if inner else value
        content = json.dumps({**whole.metadata, outer: new}).encode()
    copy = changed(whole, tmp_path, content)
    try:
        bundle = read_bundle(copy)
    except ModelError as error:
        message = str(error)
        assert str(copy) in message
        return
    with suppress(ModelError):  # another encoder, or other preprocessing, than the file's
        features = bundle.encoder(threads=1).encode(np.zeros((1, *bundle.preprocessing.shape), np.uint8))
        assert features.shape[0] == 1
    with suppress(ModelError):
        bundle.text_encoder()


def test_a_newer_bundle_is_no_damaged_one_whatever_else_it_holds(whole: Bundle, tmp_path: Path):
    copy = changed(whole, tmp_path, json.dumps({"format": 2, "encoders": 5}).encode())
    with pytest.raises(ModelError, match=r"changed was written by a newer cbir \(format 2; .* up to 1\): upgrade cbir"):
        read_bundle(copy)


def test_a_file_that_holds_no_encoder_is_refused_also_with_its_checksum(whole: Bundle, tmp_path: Path):
    copy = changed(whole, tmp_path, b"")
    for content in (b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"hello"):
        (copy / "encoder.npz").write_bytes(content)
        metadata = {**whole.metadata, "encoder_sha256": sha256_of(copy / "encoder.npz")}
        (copy / "model.json").write_text(json.dumps(metadata))
        with pytest.raises(ModelError, match=r"encoder\.npz holds no encoder 'pixels'"):
            read_bundle(copy).encoder()
