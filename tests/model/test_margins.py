"""Margins that end in a straight edge are taken off; anything else stays."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from cbir.model.distortion import Distortion, distortions
from cbir.model.margins import trimmed
from tests.conftest import picture


def scene(size: tuple[int, int] = (200, 150), mode: str = "RGB") -> Image.Image:
    """Something everywhere, as in a photograph: patches of all colours."""
    generator, shape = np.random.default_rng(0), (size[1] // 10 + 1, size[0] // 10 + 1)
    patches = generator.integers(60, 196, (*shape, 1)) + generator.integers(-12, 13, (*shape, 3))
    return Image.fromarray(patches.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC).convert(mode)


def as_jpeg(image: Image.Image, quality: int = 75) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return Image.open(content).convert(image.mode)


@st.composite
def framed(draw: st.DrawFn) -> Image.Image:
    """Margins in each other, around anything."""
    mode = draw(st.sampled_from(["L", "RGB"]))
    size = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    image = draw(st.sampled_from([scene(size, mode), Image.new(mode, size, 3), picture(3, size).convert(mode)]))
    for _ in range(draw(st.integers(0, 3))):
        light = draw(st.sampled_from([0, 12, 128, 255]))
        border = tuple(draw(st.integers(0, 40)) for _ in range(4))
        image = ImageOps.expand(image, border, light if mode == "L" else (light, 255 - light, light))
    return image.resize((image.width * 4, image.height * 4)) if draw(st.booleans()) else image


@given(framed())
@settings(max_examples=150)
def test_any_picture_has_something_left_and_is_trimmed_once(image: Image.Image):
    inside = trimmed(image)
    assert inside.mode == image.mode
    assert min(inside.size) >= 1
    assert inside.width * inside.height >= 0.15 * image.width * image.height
    assert trimmed(inside).size == inside.size


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("edit", distortions(["frame=0.05,0.2", "letterbox=0.15", "screenshot", "phone"]), ids=str)
@pytest.mark.parametrize("size", [(200, 150), (150, 200)], ids=["wide", "high"])
def test_what_was_put_around_a_picture_is_taken_off(edit: Distortion, size: tuple[int, int], mode: str):
    plain = scene(size, mode)
    for seed in range(4):  # light and dark
        around = edit(plain, np.random.default_rng(seed))
        larger = around.resize((around.width * 5, around.height * 5), Image.Resampling.NEAREST)
        for shown, times in ((around, 1), (as_jpeg(around), 1), (larger, 5)):
            assert trimmed(shown).size == pytest.approx((size[0] * times, size[1] * times), rel=0.09)


def test_margins_may_be_on_one_side_and_within_each_other():
    plain = scene()
    assert np.array_equal(trimmed(ImageOps.expand(plain, (0, 20, 0, 0), (0, 0, 0))), plain)
    nested = ImageOps.expand(ImageOps.expand(plain, 3, (250, 250, 250)), (7, 0, 0, 30), (20, 20, 90))
    assert np.array_equal(trimmed(nested), plain)


def test_a_margin_may_show_a_narrow_sign_and_a_line_of_text():
    framed = ImageOps.expand(scene(), (0, 60, 0, 0), (255, 255, 255))
    draw = ImageDraw.Draw(framed)
    draw.rectangle((20, 10, 60, 40), fill=(20, 20, 120))
    draw.rectangle((0, 46, 200, 50), fill=(20, 20, 20))
    assert trimmed(framed).size == (200, 150)
    draw.rectangle((0, 10, 60, 40), fill=(20, 20, 120))
    draw.rectangle((120, 10, 200, 40), fill=(20, 120, 20))
    assert trimmed(framed).size == (200, 200)  # wider ones are pictures, too


def test_a_dark_edge_on_black_ground_is_found_by_the_other_sides():
    dark_below = np.asarray(scene()).copy()
    dark_below[-25:, :120] = 4
    framed = ImageOps.expand(Image.fromarray(dark_below), 12, (0, 0, 0))
    assert trimmed(framed).size == (200, 150)


def drawing() -> Image.Image:
    image = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(image).ellipse((60, 40, 150, 170), fill=(200, 30, 40))
    return image


def sky() -> Image.Image:
    """Each line is of one colour, but the first edge is at the horizon."""
    pixels = np.asarray(scene((200, 150), "L")).copy()
    pixels[:60] = np.linspace(250, 150, 60)[:, None]
    return Image.fromarray(pixels)


def ridge() -> Image.Image:
    """A white sky over hills."""
    pixels = np.asarray(scene()).copy()
    hills = 40 + 20 * np.sin(np.arange(200) / 25)
    pixels[np.arange(150)[:, None] < hills] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    "image",
    [
        *(scene(), Image.new("RGB", (90, 60), "white"), Image.new("L", (1, 1)), drawing(), sky(), ridge()),
        *(scene((200, 150)).rotate(10), picture(4), ImageOps.expand(scene((60, 60)), 200, (0, 0, 0))),
    ],
    ids=["scene", "uniform", "pixel", "drawing", "sky", "ridge", "turned", "digit", "hardly anything inside"],
)
def test_what_has_no_margin_stays_as_it_is(image: Image.Image):
    assert trimmed(image) is image
