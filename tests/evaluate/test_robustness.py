"""What distorted queries retain of a collection's score."""

import io
from pathlib import Path

import pytest
from PIL import Image

import cbir
from tests.commands import run
from tests.conftest import picture


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory):
    """A CBIR_HOME with the digits ingested twice as pixels; no network is trained."""
    home = tmp_path_factory.mktemp("pixels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(home))
        for name in ("digits", "twin"):
            cbir.ingest("digits", encoder="pixels", collection=name)
        yield home


def test_all_collections_get_the_same_queries_and_undistorted_ones_score_as_in_evaluate(pixels: Path):
    made = cbir.evaluate_distorted(["digits", "twin"], ["rotate=20,60", "noise=0.3"], queries=80, seed=2)
    line, twin = made.lines
    assert {str(d): s for d, s in line.distorted.items()} == {str(d): s for d, s in twin.distorted.items()}
    usual = cbir.evaluate("digits", queries=80, depths=[10], seed=2)
    assert line.undistorted == usual.scores
    little, much, noisy = made.as_json()["collections"][1]["distorted"]
    assert noisy["kept"] > little["kept"] > 0.5
    assert 1 > little["kept_map"] > much["kept_map"] > 0
    # LRAP gives 1 to a query of which nothing relevant is found: it may grow as all is lost.
    assert much["kept"] > much["kept_map"]
    assert little["kept"] == little["lrap_at_10"] / usual.scores.lrap[10]
    with Image.open(io.BytesIO(made.figure.read_bytes())) as figure:
        assert figure.width > figure.height


def test_what_has_no_strength_is_named_alone_and_drawn_with_and_without(pixels: Path):
    made = cbir.evaluate_distorted("digits", ["mirror", "scale=0.75", "bright"], queries=20)
    assert [str(d) for d in made.distortions] == ["mirror", "scale=0.75", "bright=0.5", "bright=1.5"]
    mirrored, scaled, *_ = made.as_json()["collections"][0]["distorted"]
    assert (mirrored["distortion"], mirrored["strength"], scaled["strength"]) == ("mirror", None, 0.75)
    assert Path(mirrored["run"]).name == "mirror.npz"
    assert cbir.evaluate(from_run=mirrored["run"], depths=[10]).as_json()["distortion"] == "mirror"


def test_distorted_runs_name_their_distortion_and_can_be_scored_again(pixels: Path):
    made = cbir.evaluate_distorted("digits", ["shift=0.3"], queries=20).as_json()["collections"][0]
    again = cbir.evaluate(from_run=made["distorted"][0]["run"], depths=[10])
    assert again.as_json()["distortion"] == "shift=0.3"
    assert again.scores.lrap[10] == made["distorted"][0]["lrap_at_10"]
    assert cbir.evaluate(from_run=made["undistorted"]["run"]).as_json()["distortion"] is None


def test_stored_pictures_are_opened_to_be_distorted_and_left_out_of_their_own_ranking(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    (pictures / "b" / "1.png").unlink()
    made = cbir.evaluate_distorted("pictures", ["blur=0"])
    (line,) = made.lines
    (unchanged,) = line.distorted.values()
    assert made.about[0]["leave_one_out"]
    assert unchanged == line.undistorted
    assert unchanged.queries == 5  # of six stored ones
    assert unchanged.recall_at[5] == 1  # of five others


def test_both_numbers_are_stored_and_printed_where_some_queries_cannot_be_answered(home: Path, pictures: Path):
    (pictures / "alone").mkdir()
    picture(77).save(pictures / "alone" / "0.png")
    cbir.ingest(pictures, encoder="pixels")
    made = cbir.evaluate_distorted("pictures", ["mirror", "blur"])
    (facts,) = made.as_json()["collections"]
    assert (facts["queries"], facts["without_relevant"], facts["copies_left_out"]) == (7, 1, 0)
    (line,) = made.lines
    plain, (mirrored, *_) = line.undistorted, line.distorted.values()
    assert facts["undistorted"]["answerable"] == {
        "lrap_at_10": plain.answerable.lrap[6],
        "map_at_10": plain.answerable.map_at[6],
        "map": plain.answerable.map,
    }
    some = facts["distorted"][0]["answerable"]
    assert some["map"] == mirrored.answerable.map == pytest.approx(facts["distorted"][0]["map"] * 7 / 6)
    assert some["kept"] == pytest.approx(mirrored.answerable.lrap[6] / plain.answerable.lrap[6])
    assert some["kept_map"] == pytest.approx(facts["distorted"][0]["kept_map"])
    printed = run("evaluate", "--distort", "mirror").stdout
    first, second = printed.split("the 6 queries of 7 that can be answered")
    assert f"{mirrored.map:.3f}" in first
    assert f"{mirrored.answerable.map:.3f}" in second
    with Image.open(made.figure) as figure:
        assert figure.height > figure.width  # twice as many panels
