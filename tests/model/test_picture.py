import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cbir.model.picture import (
    ImageError,
    Look,
    Preprocessing,
    background,
    invert,
    look,
    open_image,
    possible_inputs,
    suited,
    upright,
)
from tests.conftest import picture

GREY = Preprocessing(28, 28, 1)
COLOUR = Preprocessing(32, 32, 3)
MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"]


def in_mode(mode: str, size: tuple[int, int]) -> Image.Image:
    """A picture, light on the left half and dark on the right, in any mode."""
    left_light = np.zeros((size[1], size[0]), np.uint8)
    left_light[:, : size[0] // 2] = 240
    if mode == "I;16":
        return Image.fromarray(left_light.astype(np.uint16) * 257)
    if mode == "I":
        return Image.fromarray(left_light.astype(np.int32) * 257)
    if mode == "F":
        return Image.fromarray(left_light.astype(np.float32) / 255)
    image = Image.fromarray(left_light)
    if mode == "PA":
        return image.convert("LA").convert("PA")
    return image.convert("RGB").convert(mode) if mode in ("CMYK", "YCbCr", "HSV", "P") else image.convert(mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("preprocessing", [GREY, COLOUR])
def test_every_mode_keeps_light_and_dark(mode: str, preprocessing: Preprocessing):
    pixels = preprocessing.pixels(in_mode(mode, (40, 40)))
    assert pixels.dtype == np.uint8
    assert pixels.shape == preprocessing.shape
    assert pixels[:, 2:10].mean() > 200
    assert pixels[:, -10:-2].mean() < 30


@given(width=st.integers(1, 90), height=st.integers(1, 90), mode=st.sampled_from(MODES))
def test_any_size_and_mode_fits(width: int, height: int, mode: str):
    for preprocessing in (GREY, COLOUR):
        assert preprocessing.pixels(in_mode(mode, (width, height))).shape == preprocessing.shape


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


@pytest.mark.parametrize(("ink", "expected"), [("white", "dark"), ("black", "light")])
def test_transparent_ground_is_what_shows_the_ink(ink: str, expected: str):
    drawing = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
    drawing.paste(ink, (10, 5, 18, 23))
    seen = GREY.pixels(drawing)
    assert seen.max() - seen.min() == 255
    assert background(seen[None])[0] == (0 if expected == "dark" else 1)


def test_exif_orientation_is_applied(tmp_path: Path):
    upright = in_mode("L", (40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    upright.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    seen = np.asarray(open_image(tmp_path / "turned.jpg"))
    assert np.abs(seen.astype(int) - np.asarray(upright)).mean() < 5


def test_invert_swaps_dark_and_light():
    assert np.array_equal(np.asarray(invert(in_mode("L", (8, 8)))), 255 - np.asarray(in_mode("L", (8, 8))))
    assert invert(in_mode("RGBA", (8, 8))).mode == "RGB"


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


def test_pillow_images_are_decoded_and_turned_like_files(tmp_path: Path):
    (tmp_path / "truncated.jpg").write_bytes(jpeg()[:900])
    with Image.open(tmp_path / "truncated.jpg") as lazy, pytest.raises(ImageError, match="truncated"):
        upright(lazy)


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in some hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    content = io.BytesIO()
    in_mode("RGB", (200, 200)).save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.png", b"not a picture at all", "not a picture"),
        ("empty.png", b"", "empty"),
        ("truncated.jpg", jpeg()[:900], "truncated"),
        ("bomb.png", bomb(), "million pixels"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, name: str, content: bytes, reason: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=reason) as raised:
        open_image(tmp_path / name)
    assert name in str(raised.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path):
    with pytest.raises(ImageError, match="does not exist"):
        open_image(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="folder"):
        open_image(tmp_path)
    with pytest.raises(ImageError, match="File name too long"):
        open_image("x" * 5000)


@pytest.mark.parametrize(
    ("mode", "size", "shape"),
    [
        ("L", (28, 28), (28, 28, 1)),
        ("L", (8, 8), (28, 28, 1)),
        ("L", (300, 200), (64, 64, 1)),
        ("RGB", (32, 32), (32, 32, 3)),
        ("RGB", (40, 300), (64, 64, 3)),
        ("RGBA", (20, 20), (32, 32, 3)),
    ],
)
def test_the_input_suits_the_pictures(mode: str, size: tuple[int, int], shape: tuple[int, int, int]):
    colours = Image.merge("RGB", [picture(seed, size) for seed in range(3)])
    assert suited([look(colours.convert(mode))]).shape == shape


def test_one_colour_picture_makes_it_colour_and_grey_in_three_channels_does_not():
    grey = Image.merge("RGB", [picture(0)] * 3)
    colourful = Image.merge("RGB", [picture(seed) for seed in range(3)])
    assert suited([look(grey), look(grey)]).channels == 1
    assert suited([look(grey), look(colourful)]).channels == 3
    content = io.BytesIO()
    grey.save(content, "JPEG", quality=60)
    assert suited([look(Image.open(content))]).channels == 1


@pytest.mark.parametrize("side", [0, 27, 30, 512, -16])
def test_a_side_that_cannot_be_is_refused(side: int):
    with pytest.raises(ImageError, match="size must be"):
        suited([look(picture())], side)


@given(
    looks=st.lists(st.builds(Look, st.booleans(), st.integers(1, 100)), min_size=1, max_size=5),
    side=st.sampled_from([None, 28, 48]),
)
def test_what_is_chosen_for_a_sample_was_possible_for_each_of_it(looks: list[Look], side: int | None):
    assert all(suited(looks, side) in possible_inputs(each, side) for each in looks)


def test_a_file_that_is_larger_than_any_picture_is_not_read_into_memory(tmp_path: Path):
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(20_000_000_000)
    with pytest.raises(ImageError, match=r"sparse\.png has 20\.0 GB"):
        open_image(tmp_path / "sparse.png")
