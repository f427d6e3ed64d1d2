"""Curves of scores against depth."""

from pathlib import Path

import numpy as np
from PIL import Image

from cbir.evaluate.draw.curve import curves
from cbir.evaluate.scores import score
from tests.evaluate.test_scores import make_run


def test_curves_of_eleven_encoders_differ_and_are_named(tmp_path: Path):
    scores = {f"encoder-{n}": score(make_run(np.array([[True] * (20 - n) + [False] * n]))) for n in range(11)}
    (tmp_path / "curves.png").write_bytes(curves(scores, "title"))
    with Image.open(tmp_path / "curves.png") as drawn:
        assert drawn.size == (1200, 600)
        assert len(drawn.convert("RGB").getcolors(1 << 20)) > 11
