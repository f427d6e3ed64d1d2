"""Texts made to fit into pictures."""

import pytest

from cbir.search import lettering
from cbir.search.lettering import shortened_name

NAME = "IMG_20230401_123456 at the lake 0007.jpg"


def test_a_path_that_fits_stays():
    assert shortened_name("summer/a b.jpg", 180) == "summer/a b.jpg"


def test_folders_are_left_out_before_letters_of_the_name():
    assert shortened_name(f"photos of many years/{NAME[20:]}", 180) == NAME[20:]


@pytest.mark.parametrize("path", [NAME, f"holidays/{NAME}", "x" * 5000, "写" * 50 + ".png", "no name/" * 40])
@pytest.mark.parametrize("width", [60, 180])
def test_what_is_still_too_wide_keeps_both_ends(path: str, width: int):
    short = shortened_name(path, width)
    assert 0.8 * width < lettering.width(short) <= width or not path.rpartition("/")[2]
    head, _, tail = short.partition("…")
    name = path.rpartition("/")[2]
    assert name.startswith(head)
    assert name.endswith(tail)
    assert abs(len(head) - len(tail)) <= 1
