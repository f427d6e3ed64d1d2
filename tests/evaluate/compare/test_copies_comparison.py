"""Encoders side by side without labels: what edited copies of stored pictures find."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.evaluate.compare import by_copies
from cbir.model.distortion import COPIES
from tests.commands import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures, no labels."""
    place = tmp_path / "photos"
    place.mkdir()
    for number in range(12):
        colours = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
        Image.fromarray(colours).resize((48, 48), Image.Resampling.NEAREST).save(place / f"{number:02}.png")
    return place


def test_encoders_are_compared_by_edited_copies(home: Path, folder: Path, tmp_path: Path):
    done = cbir.compare_copies(folder, ["pixels", "color-histogram"], queries=8, seed=3, save=tmp_path / "out")
    for row in done.rows:
        alone = cbir.evaluate_copies(row.collection, queries=8, seed=3)
        assert (row.points, row.scores.pictures) == (12, 8)
        assert (row.scores.edits, row.scores.mean) == (alone.rows, alone.mean)
        assert (row.folder / "copies.npz").is_file()
    pixels, colours = done.rows
    assert pixels.scores.edits != colours.scores.edits
    headings, lines = done.cells()
    assert headings == ["original first", "pixels", "color-histogram"]
    assert [line[0] for line in lines[: len(COPIES)]] == [name for name, _ in COPIES]
    shown = {line[0]: line[1:] for line in lines}
    assert shown["mirrored"][1] == "1.000"  # a mirrored picture has the same colours
    assert shown["mean: original first"] == [f"{row.scores.mean.first:.3f}" for row in done.rows]
    assert shown["mean: among ten"] == [f"{row.scores.mean.among_ten:.3f}" for row in done.rows]
    assert shown["values"] == [f"{row.values:,}" for row in done.rows]
    assert done.title == "photos: 12 images, edited copies of 8 of them searched for"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["shares.png", "table.md"]
    assert done.table.read_text() == done.markdown()
    with Image.open(done.figure) as figure:
        assert figure.width > figure.height


def test_what_exists_is_not_done_again_until_the_collection_is_another_one(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    first = cbir.compare_copies(folder, ["pixels"], queries=4)
    measured = by_copies.measure_copies

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(by_copies, "measure_copies", refused)
    assert cbir.compare_copies(folder, ["pixels"], queries=4) == first
    with pytest.raises(AssertionError):
        cbir.compare_copies(folder, ["pixels"], queries=4, seed=1)
    monkeypatch.setattr(by_copies, "measure_copies", measured)
    (row,) = first.rows
    with cbir.open(row.collection) as searcher:
        (page,) = searcher.collection.scroll()
        page.vectors[:] = page.vectors[::-1]
        searcher.collection.upsert(page.ids, page.vectors, page.payloads)
    (again,) = cbir.compare_copies(folder, ["pixels"], queries=4).rows
    assert again.scores.mean.first < row.scores.mean.first


def test_the_command_compares_by_copies_where_there_are_no_labels(home: Path, folder: Path):
    arguments = ["compare", "--source", folder, "--encoder", "pixels"]
    printed = run(*arguments, "--queries", 3).stdout
    assert "photos: 12 images, edited copies of 3 of them searched for" in printed
    assert "no labels, so no LRAP and no mAP" in printed
    document = json.loads(run(*arguments, "--queries", 3, "--json").stdout)
    (row,) = document["rows"]
    assert (row["encoder"], row["scores"]["pictures"]) == ("pixels", 3)
    assert f"{row['scores']['mean']['first']:.3f}" in printed
    assert Path(document["figure"]).is_file()


def test_encoders_that_fail_are_told_and_labels_are_not_asked_for(home: Path, folder: Path):
    (folder / "one.png").write_bytes((folder / "00.png").read_bytes())
    for path in folder.glob("*.png"):
        if path.name not in ("00.png", "one.png"):
            path.unlink()
    with pytest.raises(cbir.CbirError, match=r"none of the encoders could be compared: pixels: .* holds one image"):
        cbir.compare_copies(folder, ["pixels"])
