"""A folder is known by a short name, wherever it is; collections of format 1 go on knowing theirs by its path."""

import json
import shutil
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.errors import CollectionBusyError
from cbir.collection.interface import Collection
from cbir.collection.metadata import Metadata
from cbir.ingest.report import Report
from cbir.ingest.roots import known_as, named_whole, new_name, open_known, overlapping
from cbir.ingest.sources.arguments import open_sources
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.several import SeveralSources
from cbir.ingest.sources.source import Source, SourceError
from tests.collection.sample import METADATA
from tests.conftest import picture
from tests.ingest.sources.test_mnist import small, write


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.points, report.ingested, report.updated, report.unchanged


def metadata(home: Path, name: str = "pictures") -> Metadata:
    return EmbeddedEngine(home / "collections").metadata(name)


def test_a_moved_folder_is_not_encoded_again(home: Path, pictures: Path, tmp_path: Path):
    cbir.ingest(pictures, encoder="pixels")
    assert metadata(home).roots == {"pictures": str(pictures)}
    moved = tmp_path / "disk" / "pictures"
    moved.parent.mkdir()
    pictures.rename(moved)
    with pytest.warns(cbir.CbirWarning, match=rf"was filled from {pictures}, .*; {moved} has the same pictures"):
        report = cbir.ingest(moved)
    assert counts(report) == (6, 0, 0, 6)
    assert (metadata(home).sources, metadata(home).roots) == (("pictures",), {"pictures": str(moved)})
    with cbir.open() as searcher:
        hit = searcher.search(moved / "b" / "1.png", 1)[0]
        assert (hit.uri, hit.distance) == ("b/1.png", pytest.approx(0, abs=1e-3))
        assert searcher.open_stored(hit).info["path"] == str(moved / "b" / "1.png")


def test_another_folder_of_the_name_is_not_taken_for_one_whose_disk_is_not_mounted(
    home: Path, pictures: Path, tmp_path: Path
):
    cbir.ingest(pictures, encoder="pixels")
    unmounted = pictures.rename(tmp_path / "unmounted")
    other = tmp_path / "home" / "pictures"
    (other / "b").mkdir(parents=True)
    picture(77).save(other / "b" / "1.png")
    with pytest.raises(cbir.CbirError, match=rf"'pictures' holds {pictures}\. To add {other} to it"):
        cbir.ingest(other)
    assert counts(cbir.ingest(other, collection="pictures")) == (7, 1, 0, 0)
    assert metadata(home).roots == {"pictures": str(pictures), "pictures-2": str(other)}
    unmounted.rename(pictures)
    assert counts(cbir.ingest(pictures, collection="pictures")) == (7, 0, 0, 6)


def test_a_collection_in_use_is_not_guessed_about(
    home: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cbir.ingest(pictures, encoder="pixels")
    pictures.rename(tmp_path / "unmounted")
    other = tmp_path / "home" / "pictures"
    (other / "b").mkdir(parents=True)
    picture(77).save(other / "b" / "1.png")
    opened, calls = EmbeddedEngine.open, []

    def busy_once(self: EmbeddedEngine, name: str) -> Collection:
        calls.append(name)
        if len(calls) == 1:
            raise CollectionBusyError("in use")
        return opened(self, name)

    monkeypatch.setattr(EmbeddedEngine, "open", busy_once)
    with pytest.raises(CollectionBusyError):
        cbir.ingest(other, collection="pictures")
    assert metadata(home).roots == {"pictures": str(pictures)}


@pytest.mark.parametrize("beside", [0, 40])
def test_a_few_common_pictures_do_not_make_a_folder_the_stored_one(
    home: Path, pictures: Path, tmp_path: Path, beside: int
):
    for number in range(2):
        picture(50 + number).save(pictures / f"logo {number}.png")
    cbir.ingest(pictures, encoder="pixels")
    (tmp_path / "beside").mkdir()
    for seed in range(beside):  # pictures of other folders say nothing
        picture(200 + seed).save(tmp_path / "beside" / f"{seed}.png")
    if beside:
        cbir.ingest(tmp_path / "beside", collection="pictures")
    pictures.rename(tmp_path / "unmounted")
    other = tmp_path / "home" / "pictures"
    (other / "b").mkdir(parents=True)
    for number in range(2):
        picture(50 + number).save(other / f"logo {number}.png")
    for seed in range(5):
        picture(60 + seed).save(other / "b" / f"{seed + 2}.png")
    with pytest.raises(cbir.CbirError, match="To add"):
        cbir.ingest(other)
    report = cbir.ingest(other, collection="pictures")
    assert (counts(report), report.copies) == ((13 + beside, 5, 0, 0), 2)


@pytest.mark.parametrize("limit", [None, 2])
def test_a_folder_that_moved_and_changed_is_the_stored_one_if_most_is(
    home: Path, pictures: Path, tmp_path: Path, limit: int | None
):
    cbir.ingest(pictures, encoder="pixels", limit=limit)
    moved = pictures.rename(tmp_path / "moved")
    picture(60).save(moved / "b" / "2.png")
    for seed in range(100):
        picture(61 + seed).save(moved / "b" / f"{100 + seed}.png")
    with pytest.warns(cbir.CbirWarning, match=f"{moved} has the same pictures"):
        report = cbir.ingest(moved, collection="pictures")
    assert counts(report) == ((106, 101, 0, 5) if limit is None else (106, 104, 0, 2))


def test_several_folders_of_one_name_get_names_of_their_own(tmp_path: Path):
    folders = [tmp_path / name / "photos" for name in "ab"]
    for folder in folders:
        folder.mkdir(parents=True)
        picture().save(folder / "1.png")
    source = new_name(SeveralSources(list(map(FolderSource, folders))), ["photos"])
    assert len({*source.names, "photos"}) == 3
    assert sorted(source.roots.values()) == sorted(map(str, folders))


def test_a_folder_that_moves_is_found_whatever_its_name(home: Path, pictures: Path, tmp_path: Path):
    second = tmp_path / "B" / "pictures"
    (second / "b").mkdir(parents=True)
    for number in range(4):
        picture(90 + number).save(second / "b" / f"{number}.png")
    for folder in (pictures, second):
        cbir.ingest(folder, collection="pictures", encoder="pixels")
    moved = tmp_path / "C" / "pictures"
    moved.parent.mkdir()
    second.rename(moved)
    with pytest.warns(cbir.CbirWarning, match=rf"was filled from {second}, .*; {moved} has the same pictures"):
        assert counts(cbir.ingest(moved, collection="pictures")) == (10, 0, 0, 4)
    assert metadata(home).roots == {"pictures": str(pictures), "pictures-2": str(moved)}
    renamed = pictures.rename(tmp_path / "photos")
    with pytest.warns(cbir.CbirWarning, match=f"{renamed} has the same pictures"):
        assert counts(cbir.ingest(renamed, collection="pictures")) == (10, 0, 0, 6)
    assert metadata(home).roots == {"pictures": str(renamed), "pictures-2": str(moved)}


def test_two_folders_of_one_name_are_two_sources(home: Path, tmp_path: Path):
    for seed, place in enumerate(("one", "two", "three")):
        (tmp_path / place / "cats").mkdir(parents=True)
        picture(seed).save(tmp_path / place / "cats" / "a.png")
    for place in ("one", "two", "three"):
        cbir.ingest(tmp_path / place / "cats", collection="cats", encoder="pixels")
    assert metadata(home, "cats").roots == {
        "cats": str(tmp_path / "one" / "cats"),
        "cats-2": str(tmp_path / "two" / "cats"),
        "cats-3": str(tmp_path / "three" / "cats"),
    }
    assert counts(cbir.ingest(tmp_path / "two" / "cats", collection="cats")) == (3, 0, 0, 1)
    with cbir.open("cats") as searcher:
        hits = searcher.search(tmp_path / "two" / "cats" / "a.png", 3)
        assert (hits[0].payload["source"], {hit.uri for hit in hits}) == ("cats-2", {"a.png"})
        assert searcher.open_stored(hits[0]).info["path"] == str(tmp_path / "two" / "cats" / "a.png")


def test_a_folder_in_or_around_a_stored_one_is_refused(home: Path, pictures: Path):
    common = "has pictures in common with {}, which collection '{}' holds: ingest {} again .* another --collection"
    cbir.ingest(pictures, collection="all", encoder="pixels")
    with pytest.raises(cbir.CbirError, match=common.format(pictures, "all", pictures)):
        cbir.ingest(pictures / "b", collection="all")
    cbir.ingest(pictures / "b", encoder="pixels")
    with pytest.raises(cbir.CbirError, match=common.format(pictures / "b", "b", pictures / "b")):
        cbir.ingest(pictures, collection="b")
    assert [len(metadata(home, name).sources) for name in ("all", "b")] == [1, 1]
    assert counts(cbir.ingest(pictures, encoder="pixels")) == (6, 6, 0, 0)


def test_a_folder_called_like_a_dataset_gets_another_name(pictures: Path):
    digits = pictures.rename(pictures.parent / "digits")
    assert new_name(FolderSource(digits)).name == "digits-2"


def test_what_is_stored_is_opened_again_under_its_names(tmp_path: Path, pictures: Path):
    write(tmp_path / "data" / "mnist")
    known = replace(METADATA, roots={"stored": str(pictures), "files": str(Path("/").absolute())})
    stored = list(open_known("stored", known).items())
    assert {item.place for item in stored} == {
        ("stored", f"{label}/{number}.png") for label in ("münchen käse", "b") for number in range(3)
    }
    digits = open_known("mnist", known, [tmp_path / "data"], tmp_path / "cache")
    assert (digits.name, len(digits)) == ("mnist", len(small()[0]))
    with pytest.raises(SourceError, match="one by one are in no folder"):
        open_known("files", known)
    with pytest.raises(SourceError, match="addresses are in no folder"):
        open_known("addresses", known)
    old = replace(METADATA, sources=(str(pictures),), choices={str(pictures): {"exclude": ["b/"]}})
    items = list(open_known(str(pictures), old).items())
    assert {item.place for item in items} == {
        (str(pictures), str(pictures / "münchen käse" / f"{number}.png")) for number in range(3)
    }


def folder(path: Path, *seeds: int) -> Path:
    path.mkdir(parents=True)
    for seed in seeds:
        picture(seed).save(path / f"{seed}.png")
    return path


@pytest.mark.parametrize(
    ("moved", "name", "asked"),
    [
        ("", "photos-3", ["photos", "disk", "other"]),  # none of those that are gone: its own name is asked first
        ("disk", "disk", ["photos", "disk"]),
        ("photos", "photos", ["photos"]),
    ],
)
def test_a_folder_takes_the_name_of_one_that_is_gone_if_it_is_that(
    tmp_path: Path, moved: str, name: str, asked: list[str]
):
    source = FolderSource(folder(tmp_path / "new" / "photos", 1))
    there = folder(tmp_path / "there" / "photos", 2)
    roots = {name: str(tmp_path / "gone" / name) for name in ("disk", "photos", "other")}
    known = replace(METADATA, sources=("s",), roots={**roots, "photos-2": str(there)})
    found: list[str] = []

    def has_moved(renamed: Source) -> bool:
        assert list(renamed.roots.values()) == [str(source.root)]
        found.append(renamed.name)
        return renamed.name == moved

    assert known_as(source, known, has_moved).name == name
    assert found == asked
    # What it is called does not matter where its path is known.
    assert known_as(FolderSource(there), known, lambda _: False).name == "photos-2"


def test_each_of_several_is_known_by_itself(tmp_path: Path):
    places = [folder(tmp_path / name / "photos", seed) for seed, name in enumerate("abc")]
    known = replace(METADATA, sources=("photos",), roots={"photos": str(tmp_path / "gone"), "photos-2": str(places[1])})
    several = open_sources([str(place) for place in places])
    roots = known_as(several, known, lambda source: source.name == "photos").roots
    assert roots == {"photos": str(places[0]), "photos-2": str(places[1]), "photos-3": str(places[2])}
    assert named_whole(known_as(several, known, lambda _: False)) == {"photos-3", "photos-2", "photos-3-2"}
    lists = open_sources([str(places[1] / "1.png"), str(places[0])])
    assert named_whole(known_as(lists, known, lambda _: False)) == {"photos-3"}  # a file of photos-2 is not that


def test_a_folder_overlaps_one_that_has_a_picture_of_it(tmp_path: Path):
    around, other = folder(tmp_path / "all", 1), folder(tmp_path / "other", 3)
    inner, empty = folder(around / "inner", 2), folder(around / "empty")
    roots = {"other": str(other), "top": str(Path("/").absolute()), "gone": str(around / "gone")}
    known = replace(METADATA, roots={**roots, "empty": str(empty), "all": str(around)})
    for source, found in ((inner, str(around)), (around, None), (other, None), (folder(tmp_path / "new", 4), None)):
        assert overlapping(FolderSource(source), known) == found
    stored = replace(METADATA, roots={**roots, "empty": str(empty), "inner": str(inner)})
    assert overlapping(FolderSource(around), stored) == str(inner)
    several = open_sources([str(other), str(around)])
    assert overlapping(several, stored) == str(inner)
    # Under the name of a root that it is, moved, it may overlap where that was.
    assert overlapping(FolderSource(around).renamed({"all": "inner"}), stored) is None


def test_a_source_that_is_refused_leaves_no_trace(home: Path, pictures: Path, tmp_path: Path):
    cbir.ingest(pictures, encoder="pixels")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.png").write_text("no picture")
    assert cbir.ingest(tmp_path / "bad", collection="pictures").unreadable
    assert metadata(home).roots == {"pictures": str(pictures)}
    assert metadata(home).sources == ("pictures",)


def test_a_source_is_remembered_before_its_first_point_is_stored(
    home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    """A process that is killed cannot say afterwards what it was doing."""
    seen = []

    def upsert(self: object, *_: object) -> None:
        seen.append(metadata(home))
        raise KeyboardInterrupt

    cbir.ingest("digits", collection="pictures", encoder="pixels", limit=5)
    monkeypatch.setattr("cbir.collection.embedded.points.EmbeddedCollection.upsert", upsert)
    with pytest.raises(KeyboardInterrupt):
        cbir.ingest(pictures, collection="pictures")
    assert seen[0].sources == ("digits", "pictures")
    assert seen[0].roots == {"pictures": str(pictures)}


def test_a_source_is_remembered_if_its_first_batch_is_stored_but_not_counted(
    home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    upsert = EmbeddedCollection.upsert

    def interrupted(self: EmbeddedCollection, *points: Any) -> None:
        upsert(self, *points)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(EmbeddedCollection, "upsert", interrupted)
        cbir.ingest(pictures, encoder="pixels")
    assert (metadata(home).sources, metadata(home).roots) == (("pictures",), {"pictures": str(pictures)})
    with cbir.open() as searcher:
        hit = searcher.search(pictures / "b" / "1.png", 1)[0]
        assert searcher.open_stored(hit).info["path"] == str(pictures / "b" / "1.png")
    assert counts(cbir.ingest(pictures)) == (6, 0, 0, 6)


def test_a_collection_that_names_no_source_has_no_pictures_to_denoise(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    card = home / "collections" / "pictures" / "collection.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "sources": [], "roots": {}}))
    with pytest.raises(cbir.CbirError, match="'pictures' names no source to take pictures from"):
        cbir.denoise("pictures")


@pytest.fixture
def old(home: Path, pictures: Path) -> Path:
    """A folder in a collection of format 1: uris are paths, ids are theirs, stamps are seconds, nothing has a hash."""
    cbir.ingest(pictures, encoder="pixels")
    engine = EmbeddedEngine(home / "collections")
    with closing(engine.open("pictures")) as collection:
        now = replace(collection.metadata, sources=(str(pictures),), roots={})
        (page,) = collection.scroll()
    engine.delete("pictures")
    payloads = [
        {
            "label": payload["label"],
            "uri": str(pictures / payload["uri"]),
            "source": str(pictures),
            "bytes": payload["bytes"],
            "modified": int((pictures / payload["uri"]).stat().st_mtime),
        }
        for payload in page.payloads
    ]
    with closing(engine.create("pictures", now)) as collection:
        ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, payload["uri"])) for payload in payloads]
        collection.upsert(ids, page.vectors, payloads)
    card = home / "collections" / "pictures" / "collection.json"
    stored = json.loads(card.read_text())
    del stored["format"], stored["roots"]
    card.write_text(json.dumps(stored))
    return pictures


def test_a_collection_of_format_1_is_searched_and_shown(old: Path):
    with cbir.open() as searcher:
        hit = searcher.search(old / "b" / "1.png", 1)[0]
        assert hit.uri == str(old / "b" / "1.png")
        assert searcher.open_stored(hit).size == (28, 28)
    assert cbir.evaluate("pictures", depths=[2]).scores.queries == 6


def test_a_collection_of_format_1_goes_on_without_storing_twice(home: Path, old: Path):
    picture(99).save(old / "b" / "new.png")
    assert counts(cbir.ingest(old)) == (7, 1, 6, 0)  # six have a hash now
    assert counts(cbir.ingest(old)) == (7, 0, 0, 7)
    assert (metadata(home).sources, metadata(home).roots) == ((str(old),), {})
    picture(98).save(old / "b" / "0.png")
    assert counts(cbir.ingest(old)) == (7, 1, 0, 6)
    shutil.copytree(old, old.parent / "other" / "pictures")
    report = cbir.ingest(old.parent / "other" / "pictures", collection="pictures")
    assert (counts(report), report.copies) == ((7, 0, 0, 0), 7)
    assert metadata(home).roots == {"pictures": str(old.parent / "other" / "pictures")}


def test_a_folder_in_one_of_format_1_is_not_stored_twice(home: Path, old: Path):
    assert counts(cbir.ingest(old / "b", collection="pictures")) == (6, 0, 3, 0)
    assert (metadata(home).sources, metadata(home).roots) == ((str(old), str(old / "b")), {})
    assert cbir.ingest(old).points == 6


def test_retraining_brings_a_collection_of_format_1_to_relative_uris(home: Path, old: Path):
    assert counts(cbir.ingest(old, retrain=True)) == (6, 6, 0, 0)
    assert (metadata(home).sources, metadata(home).roots) == (("pictures",), {"pictures": str(old)})
    with cbir.open() as searcher:
        assert searcher.search(old / "b" / "1.png", 1)[0].uri == "b/1.png"
