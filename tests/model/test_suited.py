import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cbir.model.errors import ImageError
from cbir.model.suited import Look, look, possible_traits, traits, validated_side
from tests.conftest import picture


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
    assert traits([look(colours.convert(mode))]).input().shape == shape


def test_one_colour_picture_makes_it_colour_and_grey_in_three_channels_does_not():
    grey = Image.merge("RGB", [picture(0)] * 3)
    colourful = Image.merge("RGB", [picture(seed) for seed in range(3)])
    assert traits([look(grey), look(grey)]).grey
    assert not traits([look(grey), look(colourful)]).grey
    content = io.BytesIO()
    grey.save(content, "JPEG", quality=60)
    assert traits([look(Image.open(content))]).grey


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("side", [None, 48])
def test_margins_are_taken_off_photographs_and_nothing_off_digits(mode: str, side: int | None):
    small, large = (traits([look(picture(0, (size, size)).convert(mode))]).input(side) for size in (28, 300))
    assert large.trim
    assert "trim" not in small.describe()  # what digits were encoded by has the same fingerprint


@pytest.mark.parametrize("side", [0, 27, 30, 512, -16])
def test_a_side_that_cannot_be_is_refused(side: int):
    with pytest.raises(ImageError, match="size must be"):
        validated_side(side)


@given(
    looks=st.lists(st.builds(Look, st.booleans(), st.integers(1, 100)), min_size=1, max_size=5),
)
def test_what_is_chosen_for_a_sample_was_possible_for_each_of_it(looks: list[Look]):
    assert all(traits(looks) in possible_traits(each) for each in looks)
