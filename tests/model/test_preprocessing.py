import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cbir.model.border import background
from cbir.model.errors import ImageError, ModelError
from cbir.model.modes import invert
from cbir.model.preprocessing import Preprocessing, to_unit
from tests.model.half_light import MODES, half_light

GREY = Preprocessing(28, 28, 1)
COLOUR = Preprocessing(32, 32, 3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("preprocessing", [GREY, COLOUR])
def test_every_mode_keeps_light_and_dark(mode: str, preprocessing: Preprocessing):
    pixels = preprocessing.pixels(half_light(mode, (40, 40)))
    assert pixels.dtype == np.uint8
    assert pixels.shape == preprocessing.shape
    assert pixels[:, 2:10].mean() > 200
    assert pixels[:, -10:-2].mean() < 30


@given(width=st.integers(1, 90), height=st.integers(1, 90), mode=st.sampled_from(MODES))
def test_any_size_and_mode_fits(width: int, height: int, mode: str):
    for preprocessing in (GREY, COLOUR):
        assert preprocessing.pixels(half_light(mode, (width, height))).shape == preprocessing.shape


def test_a_picture_of_the_right_size_is_left_as_it_is():
    original = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    assert np.array_equal(GREY.pixels(Image.fromarray(original))[..., 0], original)


def test_aspect_ratio_is_kept_and_the_padding_continues_the_background():
    wide = np.full((50, 200), 30, np.uint8)
    wide[10:40, 60:140] = 250  # 80 x 30
    seen = GREY.pixels(Image.fromarray(wide))[..., 0]
    assert np.all(seen[:9] == 30)  # above and below the 28 x 7 picture
    assert np.all(seen[-9:] == 30)
    rows, columns = np.nonzero(seen > 140)
    assert np.ptp(columns) + 1 == pytest.approx(28 * 80 / 200, abs=2)
    assert np.ptp(rows) + 1 == pytest.approx(28 * 30 / 200, abs=2)


@pytest.mark.parametrize("light", [120, 126, 127, 128, 135])
def test_there_is_one_ground_for_what_is_transparent(light: int):
    drawing = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
    drawing.paste((light, light, light, 255), (10, 5, 18, 23))
    seen = GREY.pixels(drawing)
    assert background(seen[None])[0] == 1
    assert seen.min() == light


def test_invert_swaps_dark_and_light():
    assert np.array_equal(np.asarray(invert(half_light("L", (8, 8)))), 255 - np.asarray(half_light("L", (8, 8))))
    assert invert(half_light("RGBA", (8, 8))).mode == "RGB"


def test_nan_pixels_are_refused():
    values = np.zeros((28, 28), np.float32)
    values[3, 3] = np.nan
    with pytest.raises(ImageError, match="NaN"):
        GREY.pixels(Image.fromarray(values))


@pytest.mark.parametrize("value", [-5.0, 0.0, 0.5, 1e6])
def test_constant_deep_grey_is_a_plain_picture(value: float):
    seen = GREY.pixels(Image.fromarray(np.full((9, 9), value, np.float32)))
    assert seen.min() == seen.max()


def test_kinds_that_pillow_cannot_convert_are_refused():
    with pytest.raises(ImageError, match="cannot be shown"):
        GREY.pixels(Image.frombytes("LAB", (4, 4), bytes(48)))


def test_a_picture_may_be_squashed_or_cropped_instead():
    wide = Image.fromarray(np.repeat(np.arange(200, dtype=np.uint8)[None], 50, axis=0))
    squashed = Preprocessing(28, 28, 1, fit="squash").pixels(wide)[14, :, 0]
    assert squashed[0] < 10
    assert squashed[-1] > 190
    cropped = Preprocessing(28, 28, 1, fit="crop", resample="bilinear").pixels(wide)[14, :, 0]
    assert abs(int(cropped[0]) - 75) < 4  # the middle 50 columns
    assert abs(int(cropped[-1]) - 125) < 4


@pytest.mark.parametrize("size", [(2000, 2), (2, 2000), (60_000, 1), (9000, 40)])
@pytest.mark.parametrize("shortest", [28, 40, None])
def test_a_line_is_not_enlarged_to_gigabytes(
    size: tuple[int, int], shortest: int | None, monkeypatch: pytest.MonkeyPatch
):
    """The middle is that of the whole picture enlarged, which a line with a slow gradient shows."""
    made: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def noted(image: Image.Image, asked: tuple[int, int], *given: Any, **more: Any) -> Image.Image:
        made.append(asked)
        return resize(image, asked, *given, **more)

    monkeypatch.setattr(Image.Image, "resize", noted)
    wide, high = size
    across = np.linspace(0, 255, wide)[None] * np.linspace(0, 1, high)[:, None] if high > 1 else np.arange(wide)[None]
    seen = Preprocessing(28, 28, 1, fit="crop", shortest=shortest).pixels(Image.fromarray(across.astype(np.uint8)))
    assert sum(width * height for width, height in made) <= 64 * 28 * 28
    if wide * high < 1e4:
        scale = (shortest or 28) / min(size)
        whole = np.asarray(resize(Image.fromarray(across.astype(np.uint8)), tuple(int(scale * side) for side in size)))
        top, left = ((side - 28) // 2 for side in whole.shape)
        np.testing.assert_allclose(seen[..., 0], whole[top : top + 28, left : left + 28], atol=1)


def test_margins_are_taken_off_before_padding_where_that_is_asked_for():
    framed = np.zeros((60, 90), np.uint8)
    framed[10:-10, 10:-10] = np.random.default_rng(0).integers(100, 256, (40, 70))
    inside = Preprocessing(28, 28, 1).pixels(Image.fromarray(framed[10:-10, 10:-10]))
    assert np.array_equal(Preprocessing(28, 28, 1, trim=True).pixels(Image.fromarray(framed)), inside)
    assert not np.array_equal(Preprocessing(28, 28, 1).pixels(Image.fromarray(framed)), inside)


def test_inputs_are_normalised_and_laid_out_as_the_graph_takes_them():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 6, 3), np.uint8)
    plain = Preprocessing(8, 6, 3).inputs(pixels)
    assert plain.dtype == np.float32
    np.testing.assert_array_equal(plain, to_unit(pixels))
    np.testing.assert_array_equal(Preprocessing(8, 6, 3).inputs(to_unit(pixels)), plain)
    mean, deviation = (0.5, 0.4, 0.3), (0.1, 0.2, 0.4)
    given = Preprocessing(8, 6, 3, mean=mean, deviation=deviation, layout="NCHW").inputs(pixels)
    assert given.shape == (2, 3, 8, 6)
    assert given.flags.c_contiguous
    for channel in range(3):
        expected = (pixels[..., channel] / 255 - mean[channel]) / deviation[channel]
        np.testing.assert_allclose(given[:, channel], expected, atol=1e-5)


def test_a_graph_may_take_the_bytes_themselves():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 6, 3), np.uint8)
    takes_bytes = Preprocessing(8, 6, 3, values="bytes", layout="NCHW")
    np.testing.assert_array_equal(takes_bytes.inputs(pixels), pixels.transpose(0, 3, 1, 2), strict=True)
    np.testing.assert_array_equal(takes_bytes.inputs(to_unit(pixels)), pixels.transpose(0, 3, 1, 2), strict=True)
    with pytest.raises(ModelError, match="normalises them itself"):
        Preprocessing(8, 6, 3, values="bytes", mean=(0.1, 0.2, 0.3))


def test_what_is_stored_of_the_usual_one_is_what_always_was():
    """It is hashed into the fingerprint of every encoder that anybody has."""
    stored = json.dumps(Preprocessing(28, 28, 1).describe())
    assert stored == '{"shape": [28, 28, 1], "fit": "contain", "resample": "bicubic", "pad": "border median"}'


@pytest.mark.parametrize(
    "preprocessing",
    [
        GREY,
        Preprocessing(224, 200, 3, fit="crop", resample="bilinear", mean=(0.1, 0.2, 0.3), layout="NCHW"),
        Preprocessing(8, 8, 1, fit="squash", deviation=(2.0,)),
        Preprocessing(8, 8, 3, values="bytes"),
        Preprocessing(64, 64, 3, trim=True),
    ],
)
def test_it_is_read_back_as_it_was_stored(preprocessing: Preprocessing):
    assert Preprocessing.from_json(json.loads(json.dumps(preprocessing.describe()))) == preprocessing


@pytest.mark.parametrize(
    "stored",
    [
        {"fit": "stretch"},
        {"resample": "area"},
        {"pad": "black"},
        {"layout": "CHWN"},
        {"values": "words"},
        {"trim": "black"},
        {"gamma": 2.2},
    ],
)
def test_what_a_newer_version_does_to_pictures_is_refused(stored: dict[str, object]):
    with pytest.raises(ModelError, match=f"{next(iter(stored))}.*upgrade cbir"):
        Preprocessing.from_json({"shape": [28, 28, 1], **stored})


@pytest.mark.parametrize(
    "wrong", [{"mean": (0.5,)}, {"mean": (0.5, 0.5, float("nan"))}, {"deviation": (1, 1, 0)}, {"channels": 4}]
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]):
    with pytest.raises(ModelError):
        Preprocessing(**{"height": 28, "width": 28, "channels": 3, **wrong})  # type: ignore[arg-type]
