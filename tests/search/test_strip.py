"""Strips: queries beside their hits."""

import numpy as np
from PIL import Image

import cbir
from cbir.collection.point import Hit
from cbir.search.sheet import CELL
from cbir.search.strip import strip
from tests.conftest import picture


def hits(*uris: str) -> list[Hit]:
    return [Hit("id", 1.25, "münchen käse und noch viel mehr dazu", uri, {}) for uri in uris]


def test_a_strip_shows_query_and_hits_in_order():
    shades = {"a": 40, "b": 120, "c": 200}
    drawn, missing = strip(
        [("q", Image.new("L", (9, 9), 250))],
        [hits(*shades)],
        lambda hit: Image.new("L", (20, 20), shades[hit.uri]),
    )
    assert missing == ""
    middle = np.asarray(drawn.convert("L"))[12 + CELL // 2]
    centres = [12 + CELL // 2 + column * (CELL + 12) for column in range(4)]
    assert middle[centres].tolist() == [250, 40, 120, 200]


def test_a_hit_that_is_gone_leaves_a_frame():
    def gone(hit: Hit) -> Image.Image:
        raise cbir.CbirError(f"{hit.uri} is gone")

    drawn, missing = strip([("q", picture())], [hits("a", "b")], gone)
    assert missing == "a is gone"
    assert drawn.width == 12 + 3 * (CELL + 12)
