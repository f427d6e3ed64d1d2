"""Sheets, strips and curves: what can be told of a picture without looking at it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.collection.point import Hit
from cbir.evaluate.draw.curve import curves
from cbir.evaluate.draw.lineup import lineup
from cbir.evaluate.run import Run, pack
from cbir.evaluate.scores import score
from cbir.ingest.sources.source import Item
from cbir.search.sheet import CELL, Cell, save_picture, sheet
from cbir.search.strip import strip
from tests.conftest import picture


def hits(*uris: str) -> list[Hit]:
    return [Hit("id", 1.25, "münchen käse und noch viel mehr dazu", uri, {}) for uri in uris]


def ranking(relevant: list[bool]) -> Run:
    """One query `q` over so many images, `0` closest."""
    ids = np.array([[str(n) for n in range(len(relevant))]])[:, :10]
    distances = np.arange(ids.size, dtype=np.float32)[None]
    bits = np.array([relevant])
    facts = {"collection": "c", "database": len(relevant), "ranks": len(relevant), "about": {}}
    packed = {"relevant": pack(bits), "tied": pack(np.zeros_like(bits)), "query_uris": np.array(["q"])}
    return Run(
        **facts,
        **packed,
        exact_ids=ids,
        exact_distances=distances,
        served_ids=ids,
        served_distances=distances,
    )


def test_a_lineup_frames_the_hits_of_another_label():
    shown = {key: Item(key, 7, "source", lambda: Image.new("L", (28, 28))) for key in ["q", *map(str, range(12))]}
    runs = {"good": ranking([True] * 12), "bad": ranking([True, False] * 6), "none": ranking([False] * 3)}
    drawn = np.asarray(lineup(runs, shown)).astype(int)
    red = (drawn[..., 0] > 200) & (drawn[..., 1] < 60)
    tops = 12 + CELL + 21 + 12 + np.arange(3) * (CELL + 12)
    framed = [int(red[top : top + CELL].sum()) for top in tops]
    assert framed[0] == 0
    # Of nine, 2, 4, 6 and 8 are wrong; of three, all: a frame takes the same everywhere.
    assert framed[1] / 4 == framed[2] / 3 > 300


def test_curves_of_eleven_encoders_differ_and_are_named(tmp_path: Path):
    scores = {f"encoder-{n}": score(ranking([True] * (20 - n) + [False] * n)) for n in range(11)}
    (tmp_path / "curves.png").write_bytes(curves(scores, "title"))
    with Image.open(tmp_path / "curves.png") as drawn:
        assert drawn.size == (1200, 600)
        assert len(drawn.convert("RGB").getcolors(1 << 20)) > 11


def test_a_strip_shows_query_and_hits_in_order(tmp_path: Path):
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


def test_a_hit_that_is_gone_leaves_a_frame(tmp_path: Path):
    def gone(hit: Hit) -> Image.Image:
        raise cbir.CbirError(f"{hit.uri} is gone")

    drawn, missing = strip([("q", picture())], [hits("a", "b")], gone)
    assert missing == "a is gone"
    assert drawn.width == 12 + 3 * (CELL + 12)


def test_small_pictures_keep_their_pixels_and_long_ones_their_shape():
    checks = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8))
    drawn = np.asarray(sheet([[Cell(checks)]]).convert("L"))[12 : 12 + CELL, 12 : 12 + CELL]
    assert set(np.unique(drawn)) == {0, 255}
    long = np.asarray(sheet([[Cell(Image.new("L", (400, 100), 0))]]).convert("L"))
    assert (long == 0).sum() == CELL * CELL // 4


def test_rows_of_different_length(tmp_path: Path):
    drawn = sheet([[Cell(picture())] * 3, [Cell(picture(), "title", "note")]])
    assert drawn.width == 12 + 3 * (CELL + 12)
    assert save_picture(drawn, tmp_path / "deep" / "sheet.png").exists()


def test_a_picture_without_a_known_suffix_is_refused_and_nothing_left(tmp_path: Path):
    with pytest.raises(cbir.CbirError, match="suffix"):
        save_picture(picture(), tmp_path / "sheet.nothing")
    with pytest.raises(cbir.CbirError, match=r"JPEG.*try wide\.png"):
        save_picture(Image.new("L", (70_000, 2)), tmp_path / "wide.jpg")
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_more_than_eight_bits_are_drawn_as_they_are_seen():
    deep = Image.fromarray(np.asarray(picture(3)).astype(np.uint16) * 257)
    drawn, plain = (np.asarray(sheet([[Cell(shown)]]).convert("L"), int) for shown in (deep, picture(3)))
    assert np.abs(drawn - plain).max() <= 1


def test_captions_have_the_letters_of_many_scripts():
    """What a font lacks is drawn as one and the same box."""
    letters = "äğŵΩЖაאشկ"
    drawn = {sheet([[Cell(picture(), letter)]]).tobytes() for letter in (*letters, "\U0010fffe")}
    assert len(drawn) == len(letters) + 1
