import os
import pickle
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cbir.core.errors import CbirWarning
from cbir.ingest.sources.arguments import open_sources
from cbir.ingest.sources.catalogue import collection_name, open_source, warn_of_namesake
from cbir.ingest.sources.choice import IGNORE_FILE, Choice
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.source import STAMP, FirstItems, LeftOut, SourceError, items_to_take, limited, stamp_of
from cbir.model.picture import decode
from tests.conftest import picture


def uris(source: FolderSource) -> list[str]:
    return [item.uri for item in source.items()]


def test_class_folders_name_the_labels(pictures: Path):
    items = list(FolderSource(pictures).items())
    assert [item.label for item in items] == ["b"] * 3 + ["münchen käse"] * 3
    assert (items[3].source, items[3].uri) == ("pictures", "münchen käse/0.png")
    assert (items[3].payload["folder"], items[3].payload["name"]) == ("münchen käse", "0.png")
    assert set(items[3].payload) == {"folder", "name", *STAMP}
    assert items[3].open().size == (28, 28)
    assert len({item.place for item in items}) == 6


def test_a_flat_folder_has_no_labels(tmp_path: Path):
    for name in ("b.JPG", "a.jpeg", "c.Png"):
        picture().convert("RGB").save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    source = FolderSource(tmp_path)
    assert uris(source) == ["a.jpeg", "b.JPG", "c.Png"]
    assert {item.label for item in source.items()} == {None}
    assert {item.payload["folder"] for item in source.items()} == {""}


@pytest.mark.parametrize("odd", ["beside.png", "b/deeper/x.png"])
def test_pictures_beside_or_below_folders_make_them_albums_without_labels(pictures: Path, odd: str):
    (pictures / odd).parent.mkdir(exist_ok=True)
    picture(9).save(pictures / odd)
    assert {item.label for item in FolderSource(pictures).items()} == {None}
    by_folder = {item.uri: item.label for item in FolderSource(pictures, Choice(labels="folder")).items()}
    assert by_folder[odd] == (None if odd == "beside.png" else "deeper")
    assert by_folder["münchen käse/0.png"] == "münchen käse"
    assert {item.label for item in FolderSource(pictures, Choice(labels="none")).items()} == {None}


def test_folders_without_pictures_do_not_make_albums_of_classes(pictures: Path):
    for name in ("@eaDir/b/0.png", ".git/x.png", "docs/read/me.txt", "b/.cache/0.png"):
        (pictures / name).parent.mkdir(parents=True)
        picture().save(pictures / name, "png")
    (pictures / "docs" / "read" / "me.txt").write_text("no picture")
    assert {item.label for item in FolderSource(pictures).items()} == {"b", "münchen käse"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_that_are_no_text_are_taken(pictures: Path):
    (folder := Path(os.fsdecode(os.fsencode(pictures / "b") + b"\xfe"))).mkdir()
    shutil.copy(pictures / "b" / "0.png", os.fsencode(folder) + b"/\xff.png")
    item = next(item for item in FolderSource(pictures).items() if item.uri.startswith("%:"))
    assert (item.uri, item.label) == ("%:b%FE/%FF.png", "b%FE")
    assert (item.payload["folder"], item.payload["name"]) == ("b%FE", "%FF.png")
    assert item.open().size == (28, 28)


def test_a_folder_that_cannot_be_read_is_refused_by_name(tmp_path: Path):
    with pytest.raises(SourceError, match="is neither a folder nor a dataset"):
        open_source("x" * 5000)
    with pytest.raises(SourceError, match=r"gone cannot be read: No such file"):
        FolderSource(tmp_path / "gone")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(SourceError, match="circle"):
        FolderSource(tmp_path / "circle")


def test_a_changed_file_has_another_stamp_within_the_same_second_too(pictures: Path):
    changed = pictures / "b" / "1.png"
    os.utime(changed, ns=(5_000_000_001, 5_000_000_001))
    before = {item.uri: item.payload for item in FolderSource(pictures).items()}
    os.utime(changed, ns=(5_000_000_002, 5_000_000_002))
    after = {item.uri: item.payload for item in FolderSource(pictures).items()}
    assert [uri for uri in before if before[uri] != after[uri]] == ["b/1.png"]


MOST, LEAST = (1 << 63) - 1, -(1 << 63)


@pytest.mark.parametrize(
    ("found", "stamp"),
    [
        ((7, 1, 2, 3), (7, 1, 2, 3)),
        ((7, MOST, MOST, MOST), (7, MOST, MOST, MOST)),
        ((7, MOST + 1, MOST + 1, 1 << 64), (7, MOST, LEAST, MOST)),  # of the year 2400; an inode of 64 bits
        ((7, LEAST, (1 << 64) - 1, LEAST - 1), (7, LEAST, -1, LEAST)),
        ((7, LEAST - 1, (1 << 64) + 5, -1), (7, LEAST, 5, -1)),
    ],
)
def test_stamps_are_numbers_that_payloads_hold(found: tuple[int, ...], stamp: tuple[int, ...]):
    names = ("st_size", "st_mtime_ns", "st_ino", "st_ctime_ns")
    status: Any = SimpleNamespace(**dict(zip(names, found, strict=True)))
    assert stamp_of(status) == stamp


def test_a_moved_folder_has_the_same_uris(pictures: Path, tmp_path: Path):
    before = uris(FolderSource(pictures))
    (tmp_path / "elsewhere").mkdir()
    pictures.rename(tmp_path / "elsewhere" / "pictures")
    moved = FolderSource(tmp_path / "elsewhere" / "pictures")
    assert (uris(moved), moved.roots) == (before, {"pictures": str(tmp_path / "elsewhere" / "pictures")})
    renamed = moved.renamed({"pictures": "pictures-2"})
    assert uris(renamed) == before
    assert {item.source for item in renamed.items()} == {"pictures-2"}
    assert renamed.roots == {"pictures-2": str(tmp_path / "elsewhere" / "pictures")}


def test_as_collections_of_format_1_hold_it_uris_are_paths(pictures: Path):
    for item in FolderSource(pictures).with_absolute_uris().items():
        assert item.source == str(pictures)
        assert Path(item.uri).is_file()


@pytest.mark.parametrize("folder", ["photos:x", "c:"])
def test_a_colon_is_no_scheme(tmp_path: Path, folder: str):
    place = tmp_path / "photos"
    for class_folder in (folder, "x"):
        (place / class_folder).mkdir(parents=True)
        picture().save(place / class_folder / "1.png")
    items = list(FolderSource(place).items())
    assert {(item.uri, item.label) for item in items} == {(f"./{folder}/1.png", folder), ("x/1.png", "x")}


def test_one_reading_gives_content_and_picture(pictures: Path):
    item = next(FolderSource(pictures).items())
    assert item.content is not None
    assert item.content() == (pictures / item.uri).read_bytes()
    assert np.array_equal(decode(item.content(), item.location), item.open())


def test_queries_beside_a_database_are_held_back(pictures: Path):
    both = pictures.parent / "both"
    for part in ("database", "queries"):
        shutil.copytree(pictures, both / part)
    (both / "README.txt").write_text("no picture")
    (both / "@eaDir").mkdir()
    picture().save(both / "queries" / "b" / "x.webp")
    source = FolderSource(both)
    assert (len(source), source.found, source.roots) == (6, 15, {"both": str(both)})
    assert LeftOut("in queries, held back to evaluate with", 7, ("queries/b/0.png",)) in source.left_out
    assert [item.label for item in source.items()] == ["b"] * 3 + ["münchen käse"] * 3
    assert {item.uri.split("/")[0] for item in source.items()} == {"database"}
    assert {(query.uri.rpartition("/")[0], query.label) for query in source.queries()} == {
        ("queries/b", "b"),
        ("queries/münchen käse", "münchen käse"),
    }


def test_a_database_and_queries_beside_other_pictures_are_classes(pictures: Path):
    (pictures / "b").rename(pictures / "database")
    (pictures / "münchen käse").rename(pictures / "queries")
    assert len(FolderSource(pictures)) == 3
    (pictures / "more").mkdir()
    picture(9).save(pictures / "more" / "9.png")
    source = FolderSource(pictures)
    assert (len(source), source.queries()) == (7, [])
    assert {item.label for item in source.items()} == {"database", "queries", "more"}


def test_a_folder_without_pictures_is_refused_with_what_was_left_out(tmp_path: Path):
    with pytest.raises(SourceError, match=r"holds no pictures$"):
        FolderSource(tmp_path)
    assert len(FolderSource(tmp_path, may_be_empty=True)) == 0
    (tmp_path / ".x.png").touch()
    (tmp_path / "a\n.txt").touch()
    with pytest.raises(SourceError, match=r"holds no pictures. Left out: .*1 hidden, --hidden takes it"):
        FolderSource(tmp_path)
    (tmp_path / "queries").mkdir()
    (tmp_path / "database").mkdir()
    picture().save(tmp_path / "queries" / "1.png")
    with pytest.raises(SourceError, match=r"database holds no pictures"):
        FolderSource(tmp_path)


def test_a_limit_takes_a_fair_sample_in_the_order_of_the_paths(tmp_path: Path):
    for folder, count in (("a", 40), ("b", 3), ("c", 40)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            (tmp_path / folder / f"{number:02}.png").touch()
    source = FolderSource(tmp_path)
    twelve, twenty = source.limited(12), source.limited(20)
    labels = Counter(item.label for item in twelve.items())
    assert (labels["b"], sorted((labels["a"], labels["c"]))) == (3, [4, 5])
    assert uris(twelve) == sorted(uris(twelve))
    assert set(uris(twelve)) < set(uris(twenty))
    assert uris(source.limited(12)) == uris(twelve)
    numbers = [int(uri[2:4]) for uri in uris(source.limited(63)) if uri[0] == "a"]
    assert max(numbers) > 33  # not the first ones
    assert sum(1 for number in numbers if number % 2) not in (0, len(numbers))
    assert (twelve.found, twelve.complete, source.complete) == (83, False, True)
    assert source.limited(83) is source
    assert limited(source, None) is source
    with pytest.raises(SourceError, match="at least 1"):
        limited(source, 0)


def test_a_pickled_source_has_the_same_items_whatever_happens_to_the_folder(pictures: Path):
    source = FolderSource(pictures).limited(5)
    content = pickle.dumps(source)
    picture(9).save(pictures / "b" / "00.png")
    again = pickle.loads(content)
    assert uris(again) == uris(source)
    assert [item.label for item in again.items()] == [item.label for item in source.items()]


def test_an_unknown_source_is_refused_naming_those_there_are():
    with pytest.raises(SourceError, match=r"'nothing' is neither a folder nor a dataset.*digits, mnist, fashion-mnist"):
        open_source("nothing")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("digits", "digits"),
        ("/photos/Käse 2", "Käse 2"),
        ("/a/.hidden", "hidden"),
        ("/a/b:c", "b-c"),
        ("/", "pictures"),
    ],
)
def test_collections_are_named_after_their_source(source: str, name: str):
    assert collection_name(source) == name


def test_a_dataset_beside_a_folder_of_its_name_says_which_is_taken(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures, "digits")
    for opened in (open_source, lambda name: open_sources([name])):
        with pytest.warns(CbirWarning, match="digits is the dataset .* not the folder here; for that, write ./digits"):
            assert len(opened("digits")) == 1500
        assert len(opened("./digits")) == len(opened(str(tmp_path / "digits"))) == 6
    shutil.rmtree("digits")
    assert len(open_source("digits")) == 1500
    Path("digits").touch()
    with pytest.warns(CbirWarning, match="not the file here"):
        open_source("digits")


def test_the_folder_of_a_downloaded_dataset_is_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("mnist").mkdir()
    warn_of_namesake("mnist", [Path()])
    warn_of_namesake("mnist", [Path("mnist")])
    with pytest.warns(CbirWarning, match="for that, write ./mnist"):
        warn_of_namesake("mnist", [tmp_path / "elsewhere"])


def test_the_first_items_of_a_source_have_its_name_and_any_other(pictures: Path):
    source = FolderSource(pictures)
    first = FirstItems(source, 2)
    assert (str(first), items_to_take(source, 1), len(first)) == (str(source), 1, 2)
    assert [item.place for item in first.renamed({"pictures": "other"}).items()] == [
        ("other", item.uri) for item in list(source.items())[:2]
    ]


def test_folders_called_as_those_of_the_system_are_folders(tmp_path: Path):
    for name in ("proc", "dev", "sys"):
        (tmp_path / name).mkdir()
        picture().save(tmp_path / name / "1.png")
    assert [item.uri for item in FolderSource(tmp_path).items()] == ["dev/1.png", "proc/1.png", "sys/1.png"]


def test_an_ignore_file_names_what_is_no_text(tmp_path: Path):
    for name in (b"caf\xe9.png", b"keep.png"):
        picture().save(tmp_path / os.fsdecode(name))
    (tmp_path / IGNORE_FILE).write_bytes(b"caf\xe9.png\n")
    assert [item.uri for item in FolderSource(tmp_path).items()] == ["keep.png"]
