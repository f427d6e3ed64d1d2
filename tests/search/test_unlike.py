"""Warnings of queries that are unlike what a collection holds: when, of which, and how often."""

import warnings

import numpy as np
import pytest
from PIL import Image

from cbir.model.preprocessing import Preprocessing
from cbir.search.unlike import QueryWarning, warn_of_unlike

#: How light backgrounds are, (mean, standard deviation, count): of digits, and of photographs.
DARK, LIGHT, PHOTOGRAPHS = (0.0, 0.01, 1500), (0.98, 0.04, 300), (0.2, 0.17, 500)
SEEN = Preprocessing(28, 28, 3)


def drawn(ink: str, ground: str) -> np.ndarray:
    picture = Image.new("RGB", (28, 28), ground)
    picture.paste(ink, (8, 6, 20, 22))
    return SEEN.pixels(picture)


ON_WHITE, ON_BLACK, IN_COLOUR = drawn("black", "white"), drawn("white", "black"), drawn("blue", "#ffe0c0")
EVEN = np.full((28, 28, 3), 255, np.uint8)


def warned(pixels: list[np.ndarray], usual: tuple[float, float, int] | None, *, inverted: bool = False) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_unlike([f"{number}.png" for number in range(len(pixels))], pixels, usual, inverted=inverted)
    assert all(issubclass(one.category, QueryWarning) for one in caught)
    return [str(one.message) for one in caught]


def test_another_background_is_warned_of_where_all_are_alike():
    (light,) = warned([ON_WHITE], DARK)
    assert light.startswith(
        "0.png has a light background, but the collection's images have a dark one; search with --i"
    )
    (dark,) = warned([ON_BLACK], LIGHT)
    assert dark.startswith("0.png has a dark background, but the collection's images have a light one")
    assert warned([ON_BLACK], DARK) == warned([ON_WHITE], LIGHT) == warned([], DARK) == []


def test_photographs_have_backgrounds_of_all_kinds():
    assert warned([ON_WHITE], PHOTOGRAPHS) == warned([ON_WHITE], None) == []


def test_other_colours_are_no_better_for_being_inverted():
    assert warned([IN_COLOUR], DARK) == []


def test_an_inverted_query_is_not_to_be_inverted():
    (said,) = warned([ON_WHITE], DARK, inverted=True)
    assert said.endswith("search without --invert")


def test_a_batch_is_warned_of_once_for_each_reason():
    light, dark, plain = 12, 30, 2
    said = warned([ON_WHITE] * light + [ON_BLACK] * dark + [EVEN] * plain, DARK)
    assert [one.partition(")")[0] for one in said] == [
        "2 of 44 queries (42.png, 43.png",
        "12 of 44 queries (0.png, 1.png, 2.png, ...",
    ]
    assert "are one plain colour each: their results mean nothing" in said[0]
    assert "have a light background" in said[1]


@pytest.mark.parametrize("usual", [None, DARK, PHOTOGRAPHS])
def test_a_plain_colour_is_warned_of_whatever_the_collection(usual: tuple[float, float, int] | None):
    assert warned([EVEN], usual) == ["0.png is one plain colour: its results mean nothing"]
