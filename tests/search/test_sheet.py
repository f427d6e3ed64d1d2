"""Contact sheets: what can be said of a picture without looking at it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.search.sheet import CELL, Cell, save_picture, sheet
from tests.conftest import picture


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
    with pytest.raises(cbir.CbirError, match=r"sheet\.nothing has an unknown picture format; try sheet\.png"):
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
