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


def test_many_hits_go_on_in_the_next_row_and_each_has_its_name():
    found = [[Hit(str(n), n / 10, None, f"a/{n}.png", {}) for n in range(count)] for count in (23, 0, 10)]
    drawn, missing = strip([("q", picture())] * 3, found, lambda hit: Image.new("L", (9, 9), 50))
    assert missing == ""
    assert drawn.width == 12 + 11 * (CELL + 12)
    row, lines = CELL + 12, 2 * 17 + 4
    assert drawn.height == 12 + 5 * (row + lines)
    shade = np.asarray(drawn.convert("L"))
    middles = [12 + CELL // 2 + number * (row + lines) for number in range(5)]
    filled = [[int(shade[y, 12 + CELL // 2 + x * (CELL + 12)]) == 50 for x in range(1, 11)] for y in middles]
    assert [sum(row) for row in filled] == [10, 10, 3, 0, 10]
    assert (shade[middles[1] - 9 : middles[1] + 9, 12 : 12 + CELL] == 255).all()  # the query stands once


def test_hits_without_room_are_told():
    many = [Hit(str(n), 1.0, 1, f"{n}", {}) for n in range(1205)]
    small = Image.new("L", (9, 9))
    drawn, missing = strip([("q", small)], [many], lambda hit: small)
    assert missing == "there is no room for 205 hits"
    assert drawn.height < 65_535
    drawn, missing = strip([("q", small)] * 105, [many[:11]] * 105, lambda hit: small)
    assert missing == "there is no room for 155 hits"
