import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import cbir
from cbir.ingest.sources.digits import digits as load_digits


@pytest.fixture
def five(tmp_path: Path) -> Path:
    """A held-out five as a file of its own."""
    path = tmp_path / "five.png"
    load_digits().picture("digits:queries/4").save(path)
    return path


def test_paths_uris_and_images_find_the_same(digits: Path, five: Path):
    with cbir.open("digits") as searcher:
        by_path = searcher.search(five, 3)
        assert [hit.id for hit in by_path] == [hit.id for hit in searcher.search("digits:queries/4", 3)]
        assert by_path == searcher.search(Image.open(five), 3)
        assert len({hit.distance for hit in by_path}) == 3
        assert searcher.search_many([five, five], 3) == [by_path, by_path]


def test_a_stored_image_finds_itself(digits: Path):
    with cbir.open("digits") as searcher:
        hit = searcher.search("digits:database/17", 1)[0]
    assert (hit.uri, hit.payload["index"], hit.payload["source"]) == ("digits:database/17", 17, "digits")
    assert hit.distance == pytest.approx(0, abs=1e-4)


def test_labels_filter(digits: Path, five: Path):
    with cbir.open("digits") as searcher:
        assert {hit.label for hit in searcher.search(five, 300, labels=[3, 8])} == {3, 8}
        assert searcher.search(five, 20, labels=[77]) == []
        assert searcher.search(five, 20, labels=[]) == []


def test_what_is_no_picture_is_refused_by_type(digits: Path, five: Path):
    with cbir.open("digits") as searcher:
        with pytest.raises(cbir.CbirError, match="not a ndarray"):
            searcher.search(np.zeros((28, 28)))  # type: ignore[arg-type]
        with pytest.raises(cbir.CbirError, match="into a list"):
            searcher.search_many(str(five))


def test_evaluating_and_ingesting_while_a_searcher_is_open(digits: Path, five: Path):
    with cbir.open("digits") as searcher:
        before = searcher.search(five, 3)
        assert cbir.evaluate("digits", queries=5, depths=np.array([10])).scores.queries == 5  # type: ignore[arg-type]
        assert cbir.ingest("digits").unchanged == 1500
        assert searcher.search(five, 3) == before


def test_a_query_on_another_background_is_warned_of_and_inverting_helps(digits: Path, five: Path):
    ImageOps.invert(Image.open(five)).resize((300, 300)).save(five)
    with cbir.open("digits") as searcher:
        with pytest.warns(cbir.QueryWarning, match=r"five\.png has a light background.*--invert"):
            searcher.search(five, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            searcher.search(five, 1, invert=True)
        seen = searcher.pixels(five, invert=True).astype(int)
        assert np.abs(seen - searcher.pixels("digits:queries/4")).mean() < 10


def test_a_plain_colour_is_warned_of(digits: Path):
    with cbir.open("digits") as searcher, pytest.warns(cbir.QueryWarning, match="one plain colour"):
        assert len(searcher.search(Image.new("RGB", (50, 20), "black"), 3)) == 3


def test_pictures_of_many_backgrounds_warn_of_nothing(home: Path, tmp_path: Path, bundle: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 40, (30, 30), np.uint8)
        Image.fromarray(noise + np.uint8(25 * number)).save(folder / f"{number}.png")
    cbir.ingest(folder, model=bundle)
    with cbir.open("photos") as searcher:
        searcher.search(folder / "7.png")


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(digits: Path, five: Path, k: int):
    with cbir.open("digits") as searcher, pytest.raises(cbir.CbirError, match="at least 1"):
        searcher.search(five, k)
