import os
import shutil
import sys
from pathlib import Path

import pytest

from cbir.ingest.sources.catalogue import collection_name, open_source
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.source import SourceError
from tests.conftest import picture


def test_classes_take_turns_and_name_the_labels(pictures: Path):
    items = list(FolderSource(pictures).items())
    assert [item.label for item in items] == ["b", "münchen käse"] * 3
    assert items[1].uri == str(pictures / "münchen käse" / "0.png")
    assert items[1].open().size == (28, 28)
    assert len({item.id for item in items}) == 6


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
    assert (len(source), source.passed_over) == (6, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_that_are_no_text_are_counted_not_looked_at(pictures: Path):
    shutil.copy(pictures / "b" / "0.png", os.fsencode(pictures / "b") + b"/\xff.png")
    source = FolderSource(pictures)
    assert (len(source), source.passed_over) == (6, 1)


def test_a_folder_that_cannot_be_read_is_refused_by_name(tmp_path: Path):
    with pytest.raises(SourceError, match="no source"):
        open_source("x" * 5000)
    with pytest.raises(SourceError, match=r"gone cannot be read"):
        FolderSource(tmp_path / "gone")


def test_a_changed_file_has_another_stamp(pictures: Path):
    before = {item.uri: item.payload for item in FolderSource(pictures).items()}
    changed = pictures / "b" / "1.png"
    os.utime(changed, (1, 1))
    after = {item.uri: item.payload for item in FolderSource(pictures).items()}
    assert [uri for uri in before if before[uri] != after[uri]] == [str(changed)]


def test_queries_beside_a_database_are_held_out(pictures: Path):
    for part in ("database", "queries"):
        shutil.copytree(pictures, pictures.parent / "both" / part)
    both = pictures.parent / "both"
    (both / "README.txt").write_text("no picture")
    (both / "queries" / "b" / "x.webp").write_bytes(b"")
    source = FolderSource(both)
    assert (len(source), source.passed_over, source.name) == (6, 1, str(both))
    assert [item.label for item in source.items()] == ["b", "münchen käse"] * 3
    assert {Path(item.uri).parents[1] for item in source.items()} == {both / "database"}
    assert {(Path(query.uri).parents[1], query.label) for query in source.queries()} == {
        (both / "queries", "b"),
        (both / "queries", "münchen käse"),
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
    with pytest.raises(SourceError, match=r"no source 'nothing'.*digits, mnist, fashion-mnist"):
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
