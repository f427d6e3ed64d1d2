import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from cbir.ingest.sources.catalogue import collection_name, open_source
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.source import SourceError
from cbir.model.picture import decode
from tests.conftest import picture


def test_classes_take_turns_and_name_the_labels(pictures: Path):
    items = list(FolderSource(pictures).items())
    assert [item.label for item in items] == ["b", "münchen käse"] * 3
    assert (items[1].source, items[1].uri) == ("pictures", "münchen käse/0.png")
    assert items[1].open().size == (28, 28)
    assert len({item.place for item in items}) == 6


def test_a_flat_folder_has_no_labels(tmp_path: Path):
    for name in ("b.JPG", "a.jpeg", "c.Png"):
        picture().convert("RGB").save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    items = list(FolderSource(tmp_path).items())
    assert [Path(item.uri).name for item in items] == ["a.jpeg", "b.JPG", "c.Png"]
    assert {item.label for item in items} == {None}


def test_what_is_not_looked_at_is_counted_not_silently_left_out(pictures: Path):
    picture().save(pictures / "b" / "x.webp")
    (pictures / "b" / "deep" / "deeper").mkdir(parents=True)
    picture().save(pictures / "b" / "deep" / "deeper" / "x.png")
    source = FolderSource(pictures)
    assert (len(source), source.found) == (7, 8)
    (left,) = source.left_out
    assert (left.count, set(left.examples)) == (1, {"b/deep/deeper/x.png"})


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_that_are_no_text_are_counted_not_looked_at(pictures: Path):
    shutil.copy(pictures / "b" / "0.png", os.fsencode(pictures / "b") + b"/\xff.png")
    source = FolderSource(pictures)
    assert (len(source), source.found) == (6, 7)


def test_a_folder_that_cannot_be_read_is_refused_by_name(tmp_path: Path):
    with pytest.raises(SourceError, match="is neither a folder nor a dataset"):
        open_source("x" * 5000)
    with pytest.raises(SourceError, match=r"gone cannot be read"):
        FolderSource(tmp_path / "gone")


def test_a_changed_file_has_another_stamp_within_the_same_second_too(pictures: Path):
    changed = pictures / "b" / "1.png"
    os.utime(changed, ns=(5_000_000_001, 5_000_000_001))
    before = {item.uri: item.payload for item in FolderSource(pictures).items()}
    os.utime(changed, ns=(5_000_000_002, 5_000_000_002))
    after = {item.uri: item.payload for item in FolderSource(pictures).items()}
    assert [uri for uri in before if before[uri] != after[uri]] == ["b/1.png"]


def test_a_moved_folder_has_the_same_places(pictures: Path, tmp_path: Path):
    before = [(item.place, item.uri) for item in FolderSource(pictures).items()]
    (tmp_path / "elsewhere").mkdir()
    pictures.rename(tmp_path / "elsewhere" / "pictures")
    assert [(item.place, item.uri) for item in FolderSource(tmp_path / "elsewhere" / "pictures").items()] == before
    renamed = FolderSource(tmp_path / "elsewhere" / "pictures").renamed({"pictures": "pictures-2"})
    assert [item.uri for item in renamed.items()] == [uri for _, uri in before]
    assert not {item.place for item in renamed.items()} & {id_ for id_, _ in before}


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
    assert {item.uri for item in items} == {f"./{folder}/1.png", "x/1.png"}
    assert len({item.place for item in items}) == 2


def test_one_reading_gives_content_and_picture(pictures: Path):
    item = next(FolderSource(pictures).items())
    assert item.content is not None
    assert item.content() == (pictures / item.uri).read_bytes()
    assert np.array_equal(decode(item.content(), item.location), item.open())


def test_queries_beside_a_database_are_held_out(pictures: Path):
    for part in ("database", "queries"):
        shutil.copytree(pictures, pictures.parent / "both" / part)
    both = pictures.parent / "both"
    (both / "README.txt").write_text("no picture")
    (both / "queries" / "b" / "x.webp").write_bytes(b"")
    source = FolderSource(both)
    assert (len(source), source.found, source.roots) == (6, 6, {"both": str(both)})
    assert [item.label for item in source.items()] == ["b", "münchen käse"] * 3
    assert {item.uri.split("/")[0] for item in source.items()} == {"database"}
    assert {(query.uri.rpartition("/")[0], query.label) for query in source.queries()} == {
        ("queries/b", "b"),
        ("queries/münchen käse", "münchen käse"),
    }


def test_a_database_and_queries_beside_anything_else_are_classes(pictures: Path):
    (pictures / "b").rename(pictures / "database")
    (pictures / "münchen käse").rename(pictures / "queries")
    assert len(FolderSource(pictures)) == 3
    picture(9).save(pictures / "9.png")
    source = FolderSource(pictures)
    assert (len(source), source.queries()) == (7, [])
    assert {item.label for item in source.items()} == {"database", "queries", None}


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match="holds no PNG or JPEG pictures"):
        FolderSource(tmp_path)


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
