"""What Hugging Face writes beside an ONNX file becomes cbir's preprocessing, to the pixel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cbir.model.errors import ModelError
from cbir.model.pretrained.onnx_file import onnx_encoder
from cbir.model.pretrained.onnx_options import options_beside
from tests.model.pretrained.graphs import tokens

CLIP = {
    "crop_size": 224,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 224,
}
DINO = {
    **CLIP,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": 256},
}
SIGLIP = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 224, "width": 192},
}
CONVNEXT = {"crop_pct": 0.875, "size": {"shortest_edge": 224}, "do_normalize": False, "resample": 3}


def described(folder: Path, config: Any) -> dict[str, Any]:
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    (folder / "net.onnx").write_bytes(tokens().SerializeToString())
    return onnx_encoder(folder / "net.onnx")[1].describe()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CLIP, {"shape": [224, 224, 3], "fit": "crop", "shortest": 224, "resample": "bicubic"}),
        (DINO, {"shape": [224, 224, 3], "fit": "crop", "shortest": 256}),
        (SIGLIP, {"shape": [224, 192, 3], "fit": "squash", "resample": "bilinear"}),
        (CONVNEXT, {"shape": [224, 224, 3], "fit": "crop", "shortest": 256}),
        ({**CONVNEXT, "size": {"shortest_edge": 384}}, {"shape": [384, 384, 3], "fit": "squash"}),
        ({"size": [96, 64]}, {"shape": [96, 64, 3], "fit": "squash"}),
        ({"size": 96, "do_pad": False, "ensure_multiple_of": 1}, {"shape": [96, 96, 3], "fit": "squash"}),
        ({"size": 96, "resample": "lanczos"}, {"shape": [96, 96, 3], "fit": "squash", "resample": "lanczos"}),
        ({"do_resize": False, "do_center_crop": True, "crop_size": 64}, {"shape": [64, 64, 3], "fit": "crop"}),
    ],
)
def test_sizes_and_fits(tmp_path: Path, config: Any, expected: dict[str, Any]):
    made = described(tmp_path, config)
    assert {key: made.get(key) for key in expected} == expected
    assert ("shortest" in made) == ("shortest" in expected)


@pytest.mark.parametrize(
    ("config", "of_black", "of_white"),
    [
        ({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}, -2, 2),
        ({"do_rescale": False, "image_mean": [127] * 3, "image_std": [128] * 3}, -127 / 128, 1),
        ({"rescale_factor": 1 / 127.5, "image_mean": [1] * 3, "image_std": [1] * 3}, -1, 1),
        ({"do_normalize": False}, 0, 1),
        ({"do_normalize": False, "rescale_factor": 1 / 127.5, "rescale_offset": True}, -1, 1),
        ({"rescale_offset": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, -3, -1),
        ({"include_top": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}, -8, 8),
        ({"include_top": True, "do_normalize": False, "image_std": [0.25] * 3}, 0, 4),
        ({"do_normalize": False, "do_rescale": False}, 0, 255),
    ],
)
def test_values_are_those_that_the_processor_makes(tmp_path: Path, config: Any, of_black: float, of_white: float):
    described(tmp_path, {"size": 8, **config})
    _, preprocessing = onnx_encoder(tmp_path / "net.onnx")
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    np.testing.assert_allclose(preprocessing.inputs(pixels), of_black, atol=1e-5)
    np.testing.assert_allclose(preprocessing.inputs(pixels + 255), of_white, atol=1e-4)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (1601, 1067), (224, 224), (90, 300)])
@pytest.mark.parametrize("shortest", [224, 256])
def test_the_middle_is_what_torchvision_and_fastembed_cut_out(tmp_path: Path, size: tuple[int, int], shortest: int):
    described(tmp_path, {**DINO, "size": {"shortest_edge": shortest}})
    _, preprocessing = onnx_encoder(tmp_path / "net.onnx")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8))
    short, long = sorted(size)
    scaled = (
        (shortest, int(shortest * long / short)) if size[0] <= size[1] else (int(shortest * long / short), shortest)
    )
    whole = np.asarray(picture.resize(scaled, Image.Resampling.BICUBIC))
    top, left = ((side - 224) // 2 for side in whole.shape[:2])
    assert np.array_equal(preprocessing.pixels(picture), whole[top : top + 224, left : left + 224])


def test_cbir_s_own_file_counts_more_and_a_repository_s_config_is_found(tmp_path: Path):
    (tmp_path / "onnx").mkdir()
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(DINO))
    (tmp_path / "onnx" / "net.json").write_text(json.dumps({"token": "mean", "fit": "squash"}))
    said = options_beside(tmp_path / "onnx" / "net.onnx")
    assert (said["token"], said["fit"], said["size"]) == ("mean", "squash", (224, 224))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"do_flip_channel_order": True}, "red and blue"),
        ({"size": 96, "do_pad": True}, r"pads pictures \(do_pad\)"),
        ({"size": 96, "ensure_multiple_of": 32}, "ensure_multiple_of"),
        ({"size": 96, "keep_aspect_ratio": True}, "keep_aspect_ratio"),
        ({"size": 96, "rescale_factor": 0}, "not as Hugging Face writes it: .*rescale_factor 0"),
        ({"size": [1, 2, 3]}, "not as Hugging Face writes it"),
        ({"size": "large"}, "not as Hugging Face writes it"),
        ({"size": {"longest_edge": 800}}, r'resizes to \{"longest_edge": 800\}'),
        ({**SIGLIP, "do_center_crop": True, "crop_size": 200}, "squashes pictures and then cuts"),
        ({"size": 224, "do_normalize": True}, "is not as Hugging Face writes it: KeyError 'image_mean'"),
        ({"size": 224, "resample": 9}, "is not as Hugging Face writes it"),
    ],
)
def test_what_cbir_cannot_do_is_refused(tmp_path: Path, config: Any, message: str):
    with pytest.raises(ModelError, match=message) as raised:
        described(tmp_path, config)
    assert "preprocessor_config.json" in str(raised.value)
