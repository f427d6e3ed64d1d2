"""Matplotlib is an extra: scores are had without it, and work whose result is a figure is refused at once."""

import importlib.util
from pathlib import Path

import pytest

import cbir
from cbir.core.errors import CbirError, CbirWarning
from cbir.evaluate.draw import canvas


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        canvas.importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else find(name, *rest)
    )


def test_an_evaluation_scores_and_says_why_no_curve_is_drawn(digits: Path, without_matplotlib: None):
    with pytest.warns(CbirWarning, match=r"no curve was drawn.* pip install '\.\[figures\]'"):
        evaluation = cbir.evaluate("digits", queries=20)
    assert evaluation.curve is None
    assert evaluation.as_json()["curve"] is None
    assert evaluation.scores.map > 0
    assert [path.name for path in sorted(evaluation.folder.iterdir())] == ["run.npz", "scores.json"]


def test_distorted_queries_are_not_searched_for_a_figure_that_cannot_be_drawn(digits: Path, without_matplotlib: None):
    runs = set((digits / "runs").glob("robustness*"))
    with pytest.raises(CbirError, match="drawing figures needs matplotlib"):
        cbir.evaluate_distorted("digits", ["blur=0.1"], queries=5)
    assert set((digits / "runs").glob("robustness*")) == runs


def test_edited_copies_need_no_matplotlib(home: Path, pictures: Path, without_matplotlib: None):
    cbir.ingest(pictures / "b", encoder="color-histogram")
    copies = cbir.evaluate_copies("b")
    assert copies.misses is not None
    assert copies.misses.stat().st_size > 1000
