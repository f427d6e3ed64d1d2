"""The whole: a folder of photographs, copies and bursts is grouped; nothing is deleted; what may go is certain."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import cbir
from cbir.search.duplicates.candidates import candidates
from cbir.search.duplicates.result import Duplicates
from tests.commands import failure, run
from tests.search.duplicates.scenes import scene

#: Few pictures are edited, so that tests are quick.
DUPLICATES = ("duplicates", "pictures", "--pictures", "3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight photographs, of which three have copies and two were taken again."""
    place = tmp_path / "pictures"
    place.mkdir()
    for number in range(8):
        scene(number).save(place / f"{number:02}.png")
    scene(0).resize((160, 120)).save(place / "small.jpg")
    ImageOps.mirror(scene(0)).save(place / "mirrored.jpg", quality=80)
    scene(1).save(place / "compressed.jpg", quality=40)
    shutil.copy(place / "02.png", place / "twin.png")
    scene(3, shot=1).save(place / "burst-3.png")
    scene(4, shot=1).save(place / "burst-4.png")
    return place


@pytest.fixture
def found(home: Path, folder: Path) -> Duplicates:
    cbir.ingest(folder, encoder="color-histogram")
    return cbir.duplicates("pictures", pictures=3)


def names(found: Duplicates) -> set[frozenset[str]]:
    return {frozenset([group.keep.uri, *(other.uri for other in group.others)]) for group in found.groups}


def test_copies_are_grouped_and_bursts_are_only_alike(found: Duplicates, folder: Path):
    assert names(found) == {
        frozenset({"00.png", "small.jpg", "mirrored.jpg"}),
        frozenset({"01.png", "compressed.jpg"}),
        frozenset({"02.png", "twin.png"}),
    }
    kept = {group.keep.uri: (group.why, sorted(other.how for other in group.others)) for group in found.groups}
    assert kept["00.png"] == ("as many pixels, largest file", ["mirrored", "smaller"])
    assert kept["01.png"] == ("as many pixels, largest file", ["compressed or retouched"])
    assert {tuple(member.uri for member in members) for members in found.alike} == {
        ("03.png", "burst-3.png"),
        ("04.png", "burst-4.png"),
    }
    assert len(list(folder.iterdir())) == 14, "nothing is deleted"
    twins = next(group for group in found.groups if group.is_exact)
    assert twins.why == "oldest file"
    assert set(found.paths()) == {str(folder / other.uri) for group in found.groups for other in group.others}
    assert 0.5 < found.threshold.reached <= 1
    assert found.threshold.pictures == 3
    assert found.compared < 14 * 13 / 2


def test_a_file_that_is_gone_or_changed_is_no_copy(found: Duplicates, folder: Path):
    (folder / "twin.png").write_bytes(b"something else")
    (folder / "01.png").unlink()
    again = cbir.duplicates("pictures", pictures=3)
    assert names(again) == {frozenset({"00.png", "small.jpg", "mirrored.jpg"})}
    assert {uri for uri, _ in again.unreadable} == {"01.png"}


def test_all_places_of_a_content_are_listed_once(found: Duplicates, folder: Path):
    (folder / "albums").mkdir()
    shutil.copy(folder / "05.png", folder / "albums" / "again.png")
    with cbir.open("pictures") as searcher:
        pages = list(searcher.collection.scroll(vectors=False))
        stored = {p["uri"]: (i, p) for page in pages for i, p in zip(page.ids, page.payloads, strict=True)}
        point, payload = stored["05.png"]
        # The last one: a folder ingested again from within, or through a link, has the same file by another name.
        files = {uri: folder / uri for uri in ("albums/again.png", "albums/../05.png")}
        times = {uri: path.stat().st_mtime_ns for uri, path in files.items()} | {"gone.png": 1}
        copies = [{"source": payload["source"], "uri": uri, "modified": time} for uri, time in times.items()]
        searcher.collection.replace_payloads([point], [{**payload, "copies": copies}])
    again = cbir.duplicates("pictures", pictures=3)
    group = next(group for group in again.groups if group.keep.uri == "05.png")
    assert [(other.uri, other.how) for other in group.others] == [("albums/again.png", "exact copy")]
    assert str(folder / "albums" / "again.png") in again.paths()
    assert not {os.path.realpath(path) for path in again.paths()} & {
        os.path.realpath(group.keep.path) for group in again.groups
    }


def test_a_filter_limits_where_copies_are_looked_for(home: Path, folder: Path):
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    for path in folder.glob("*.*"):
        path.rename(folder / ("b" if path.name == "mirrored.jpg" else "a") / path.name)
    cbir.ingest(folder, encoder="color-histogram", collection="labelled")
    found = cbir.duplicates("labelled", pictures=3, where={"label": ["a"]})
    assert frozenset({"a/00.png", "a/small.jpg"}) in names(found)


def test_the_command_prints_a_table_json_or_paths(found: Duplicates, folder: Path, tmp_path: Path):
    printed = run(*DUPLICATES)
    for text in (
        "keep: as many pixels, largest file",
        "mirrored",
        "3 groups",
        "4 files need not be kept",
        "--alike",
    ):
        assert text in printed.stdout
    assert "burst-3.png" not in printed.stdout
    assert "burst-3.png" in run(*DUPLICATES, "--alike").stdout

    document = json.loads(run(*DUPLICATES, "--json").stdout)
    assert document == json.loads(json.dumps(found.as_json()))
    assert {group["kind"] for group in document["groups"]} == {"exact", "edited"}

    sheet = tmp_path / "sheet.png"
    assert str(sheet) in run(*DUPLICATES, "--save", sheet, "--paths").stderr
    assert run(*DUPLICATES, "-0").stdout == "".join(f"{path}\0" for path in found.paths())
    with Image.open(sheet) as drawn:
        assert drawn.height > 3 * 180
        framed = np.asarray(drawn)[..., :3] == (0x2F, 0x6F, 0xDE)
        assert framed.all(axis=2).sum() > 3 * 4 * 180


def test_wrong_usage_is_told(found: Duplicates):
    assert "either --json" in failure("duplicates", "pictures", "--paths", "--json")
    assert "colour" in failure("duplicates", "-c", "pictures", "--where", "colour=red")
    assert "Name one collection" in failure("duplicates", "pictures", "-c", "others")


def test_nothing_twice_is_said(home: Path, tmp_path: Path):
    place = tmp_path / "few"
    place.mkdir()
    scene(1).save(place / "1.png")
    cbir.ingest(place, encoder="color-histogram")
    assert not cbir.duplicates("few").groups
    scene(2).save(place / "2.png")
    cbir.ingest(place)
    printed = run("duplicates", "few", "--paths", "--save", tmp_path / "none.png")
    assert printed.stdout == ""
    assert not (tmp_path / "none.png").exists()
    assert "the same    nothing" in run("duplicates", "few").stdout


def test_a_collection_whose_pictures_are_gone_says_so(found: Duplicates, folder: Path):
    shutil.rmtree(folder)
    assert "ingest it from its new place" in run(*DUPLICATES, code=1).stderr
    assert not cbir.duplicates("pictures", max_distance=10.0).groups


def test_candidates_are_all_pairs_that_are_near(home: Path, folder: Path):
    cbir.ingest(folder, encoder="pixels")
    with cbir.open("pictures") as searcher:
        page = next(searcher.collection.scroll())
        far = np.linalg.norm(page.vectors[:, None] - page.vectors, axis=2)
        apart = np.unique(far[np.triu_indices(len(far), 1)])
        limit = float(apart[len(apart) // 2 : len(apart) // 2 + 2].mean())
        near = {
            (min(page.ids[i], page.ids[j]), max(page.ids[i], page.ids[j]))
            for i, j in np.argwhere(far < limit)
            if i != j
        }
        assert set(candidates(searcher.collection, limit, len(page.ids))) == near
        few = candidates(searcher.collection, limit, 1)
        assert set(few) < near


def test_one_file_under_two_names_is_no_duplicate_of_itself(home: Path, pictures: Path):
    # As a folder that is mounted twice shows it: whoever deletes one of both may have deleted the only one.
    file = next(pictures.rglob("*.png"))
    os.link(file, pictures / "again.png")
    report = cbir.ingest(pictures, encoder="pixels")
    assert report.copies == 1
    assert cbir.duplicates(report.collection).groups == ()
    shutil.copy(file, pictures / "copy.png")
    cbir.ingest(pictures)
    assert len(cbir.duplicates(report.collection).paths()) == 1


def test_with_a_filter_only_files_that_pass_may_go(home: Path, pictures: Path):
    file = pictures / "b" / "0.png"
    for folder in ("album", "downloads"):
        (pictures / folder).mkdir()
        shutil.copy(file, pictures / folder / "1.png")
    shutil.copy(file, pictures / "downloads" / "2.png")
    name = cbir.ingest(pictures, encoder="pixels").collection
    assert len(cbir.duplicates(name).paths()) == 3
    (group,) = cbir.duplicates(name, where="folder=downloads").groups
    assert {member.uri for member in (group.keep, *group.others)} == {"downloads/1.png", "downloads/2.png"}
    assert cbir.duplicates(name, where="folder=album").groups == ()


def test_a_file_that_can_be_looked_at_is_kept_rather_than_one_in_an_archive(home: Path, pictures: Path, tmp_path: Path):
    file = pictures / "b" / "0.png"
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("1.png", (1999, 1, 1, 0, 0, 0)), file.read_bytes())
    cbir.ingest([tmp_path / "old.zip", pictures], collection="c", encoder="pixels")
    (group,) = cbir.duplicates("c").groups
    assert (group.keep.path, group.others[0].path) == (str(file), None)
