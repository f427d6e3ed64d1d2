"""Curves of scores against depth."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbir.core.errors import CbirWarning
from cbir.evaluate.draw.curve import curve, curves
from cbir.evaluate.scores import score
from tests.evaluate.test_scores import make_run
from tests.fonts import font, forget


def test_curves_of_eleven_encoders_differ_and_are_named(tmp_path: Path):
    scores = {f"encoder-{n}": score(make_run(np.array([[True] * (20 - n) + [False] * n]))) for n in range(11)}
    (tmp_path / "curves.png").write_bytes(curves(scores, "title"))
    with Image.open(tmp_path / "curves.png") as drawn:
        assert drawn.size == (1200, 600)
        assert len(drawn.convert("RGB").getcolors(1 << 20)) > 11


def test_where_some_queries_cannot_be_answered_there_is_a_panel_for_all_and_one_for_the_others():
    whole, part = (score(make_run(np.array([[True, False], [second, False]]))) for second in (True, False))

    def width(content: bytes) -> int:
        with Image.open(io.BytesIO(content)) as drawn:
            return drawn.width

    assert width(curve(part, "title")) > 1.5 * width(curve(whole, "title"))
    assert width(curves({"one": part}, "title")) > 1.5 * width(curves({"one": whole}, "title"))


def test_names_are_drawn_as_they_are():
    """Between dollar signs matplotlib would read a formula, and fail at this one."""
    made = score(make_run(np.array([[True, False]])))
    assert curve(made, r"a $\nothing$").startswith(b"\x89PNG")
    assert curves({r"$\nothing$.onnx": made}, "title").startswith(b"\x89PNG")
    assert curves({"a\n\x1b[31m\udce9": made}, "caf\udce9").startswith(b"\x89PNG")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="fonts are elsewhere there")
def test_letters_that_dejavu_lacks_are_drawn_in_fonts_of_the_system(fonts: Path):
    made = score(make_run(np.array([[True, False]])))
    with pytest.warns(CbirWarning, match="install Noto Sans CJK"):
        boxes = curve(made, "写真")
    font(fonts / "a.ttf", "写真の")
    forget()
    assert len({boxes, curve(made, "写真"), curve(made, "写の")}) == 3
