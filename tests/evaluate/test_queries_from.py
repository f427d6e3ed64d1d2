"""`--queries-from`: a folder, archive or dataset that somebody names, whose pictures are the queries."""

import json
import zipfile
from pathlib import Path

import pytest

import cbir
from tests.commands import failure, run
from tests.conftest import picture


def classes(folder: Path, seeds: dict[str, list[int]]) -> Path:
    """Make a folder of class folders, a picture for each seed."""
    for label, numbers in seeds.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            picture(number).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def stored(home: Path, tmp_path: Path) -> Path:
    """A collection `stored` of two classes."""
    folder = classes(tmp_path / "stored", {"a": [1, 2], "b": [3, 4]})
    cbir.ingest(folder, encoder="pixels")
    return folder


def test_the_pictures_of_a_folder_are_the_queries_but_for_those_that_are_stored(stored: Path, tmp_path: Path):
    asked = classes(tmp_path / "asked", {"a": [5, 6], "b": [3, 7], "c": [8]})
    picture(9).save(asked / "beside.png")
    done = run("evaluate", "--queries-from", asked, "--depth", 2, "--json")
    document = json.loads(done.stdout)
    assert (document["queries"], document["database"], document["leave_one_out"]) == (4, 4, False)
    assert (document["queries_from"], document["without_relevant"]) == (str(asked), 1)
    assert "1 of 6 pictures of" in done.stderr
    assert "1 of 5 queries are in the database too: left out" in done.stderr
    assert "4 queries" in run("evaluate", "--queries-from", asked, "--depth", 2).stdout
    again = cbir.evaluate(from_run=document["run"], depths=[2]).as_json()
    assert {**again, "curve": document["curve"], "copies": None} == document


def test_an_archive_is_asked_with_as_its_folder_is_and_what_it_holds_back_alone(stored: Path, tmp_path: Path):
    asked = classes(tmp_path / "asked" / "queries", {"a": [5], "b": [6, 7]})
    expected = cbir.evaluate("stored", queries_from=asked).scores
    with zipfile.ZipFile(tmp_path / "asked.zip", "w") as archive:
        for path in sorted(asked.rglob("*.png")):
            archive.write(path, path.relative_to(asked.parent))
        archive.write(stored / "a" / "1.png", "database/a/1.png")
    assert cbir.evaluate("stored", queries_from=tmp_path / "asked.zip").scores == expected
    assert expected.queries == 3


def test_a_dataset_asks_with_its_test_images(digits: Path):
    own = cbir.evaluate("digits", queries=20)
    assert cbir.evaluate("digits", queries=20, queries_from="digits").scores == own.scores


def test_distorted_queries_of_a_folder(stored: Path, tmp_path: Path):
    asked = classes(tmp_path / "asked", {"a": [5, 6], "b": [7]})
    done = run("evaluate", "--queries-from", asked, "--distort", "mirror", "--json")
    (facts,) = json.loads(done.stdout)["collections"]
    assert (facts["queries"], facts["leave_one_out"], facts["queries_from"]) == (3, False, str(asked))
    message = failure("evaluate", "--queries-from", asked, "--distort", "mirror", "--copies")
    assert message.endswith("--copies searches for stored pictures: leave out --queries-from")


def test_what_cannot_be_asked_with_is_told(stored: Path, tmp_path: Path):
    def said(place: object, *given: object) -> str:
        return failure("evaluate", "-c", "stored", "--queries-from", place, *given)

    assert said(tmp_path / "nowhere").endswith("the datasets are digits, mnist, fashion-mnist")
    assert "all 4 queries are in the database too" in said(stored)
    assert said(stored / "a").endswith("has a label: put them into one folder per class")
    assert said(stored, "--from-run", "run").endswith("leave it out, or --collection and --queries-from")
    with pytest.raises(cbir.CbirError, match="leave out queries_from"):
        cbir.evaluate(from_run="run", queries_from=stored)


def test_a_collection_without_labels_is_not_asked_with_labelled_queries(home: Path, tmp_path: Path):
    classes(tmp_path / "flat", {"": [1, 2, 3]})
    cbir.ingest(tmp_path / "flat", encoder="pixels")
    asked = classes(tmp_path / "asked", {"a": [5], "b": [6]})
    for given in ([], ["--distort", "mirror"]):
        assert "has no labels" in failure("evaluate", "-c", "flat", "--queries-from", asked, *given)
