"""Roots of collections that have moved: folders, disks, archives; embedded and on a server."""

import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.interface import Engine
from cbir.collection.served.engine import ServedEngine
from cbir.core.errors import CbirError, CbirWarning
from tests.collection.sample import METADATA
from tests.commands import failure, run
from tests.qdrant import GIVEN_KEY


@pytest.fixture
def engine(home: Path) -> EmbeddedEngine:
    return EmbeddedEngine(home / "collections", timeout=0)


def filled(engine: Engine, name: str, **roots: object) -> None:
    known = {source: str(path) for source, path in roots.items()}
    metadata = replace(METADATA, sources=tuple(known) or ("digits",), roots=known)
    engine.create(name, metadata).close()


def roots(engine: Engine, name: str) -> dict[str, str]:
    return dict(engine.metadata(name).roots)


def test_a_moved_disk_is_one_command_and_nothing_is_read(engine: EmbeddedEngine, tmp_path: Path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in ("a", "b/c", "old photos"):
        (new / folder).mkdir(parents=True)
    filled(engine, "one", a=old / "a", zip=old / "photos.zip", elsewhere=tmp_path / "older" / "a")
    filled(engine, "two", c=old / "b" / "c")
    filled(engine, "digits")
    before = engine.metadata("one")
    with pytest.warns(CbirWarning, match=r"not here, .*: .*/new/photos\.zip$"):
        moved = cbir.move(old, new)
    assert [(root.collection, root.source) for root in moved.roots] == [("one", "a"), ("one", "zip"), ("two", "c")]
    assert roots(engine, "one") == {
        "a": str(new / "a"),
        "zip": str(new / "photos.zip"),
        "elsewhere": str(tmp_path / "older" / "a"),  # begins alike, and is another folder
    }
    assert roots(engine, "two") == {"c": str(new / "b" / "c")}
    # The collection ingested last is another question.
    assert replace(engine.metadata("one"), roots=before.roots) == before
    with pytest.warns(CbirWarning):
        cbir.move(new, old)
    assert engine.metadata("one") == before


def test_pictures_are_found_in_their_new_place_and_a_second_ingest_reads_none(
    home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    cbir.ingest(pictures, encoder="pixels")
    moved = pictures.rename(pictures.with_name("moved"))
    monkeypatch.chdir(moved.parent)
    done = run("move", pictures, "moved/", "--json")
    assert json.loads(done.stdout) == {
        "roots": [{"collection": "pictures", "source": "pictures", "before": str(pictures), "after": str(moved)}],
        "failed": {},
        "done": True,
    }
    with cbir.open("pictures") as searcher:
        assert Path(searcher.metadata.locate(searcher.search(moved / "b" / "0.png", k=1)[0].payload)).is_file()
    again = cbir.ingest(moved, collection="pictures")
    assert (again.unchanged, again.ingested, again.points) == (6, 0, 6)


def test_a_link_is_followed_as_an_ingest_does(engine: EmbeddedEngine, tmp_path: Path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "new" / "p").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "new link").symlink_to(tmp_path / "new")
    filled(engine, "c", p=tmp_path / "disk" / "p")
    cbir.move(tmp_path / "link", tmp_path / "new link")
    assert roots(engine, "c") == {"p": str(tmp_path / "new" / "p")}


def test_a_dry_run_changes_nothing(engine: EmbeddedEngine, tmp_path: Path):
    filled(engine, "c", p=tmp_path / "p")
    done = run("move", tmp_path / "p", tmp_path, "--dry-run")
    assert (
        done.stdout
        == f"c: {tmp_path}/p is now {tmp_path}\n1 folder would be changed (--dry-run); no picture was opened\n"
    )
    assert roots(engine, "c") == {"p": str(tmp_path / "p")}


def test_what_is_not_known_is_an_error_that_lists_what_is(engine: EmbeddedEngine, tmp_path: Path):
    filled(engine, "c", p=tmp_path / "p")
    assert f"has a folder in /nowhere; they know: {tmp_path}/p ('c'). What moved" in failure(
        "move", "/nowhere", tmp_path
    )
    assert "no collection 'd'" in failure("move", tmp_path / "p", tmp_path, "-c", "d")
    # A folder within a root: its pictures are found by an ingest of the root.
    assert "recognized by the next cbir ingest" in failure("move", tmp_path / "p" / "deeper", tmp_path / "q")


def test_pictures_that_were_listed_by_path_do_not_stand_in_the_way(engine: EmbeddedEngine, tmp_path: Path):
    filled(engine, "c", p=tmp_path / "p", files="/")
    cbir.move(tmp_path / "p", tmp_path)
    assert roots(engine, "c") == {"p": str(tmp_path), "files": "/"}


def test_two_folders_do_not_become_one(engine: EmbeddedEngine, tmp_path: Path):
    filled(engine, "c", p=tmp_path / "p", q=tmp_path / "q")
    for place in (tmp_path / "q", tmp_path / "q" / "p"):
        assert "the same pictures would be in it twice" in failure("move", tmp_path / "p", place)
    # Both at once keep their distance.
    with pytest.warns(CbirWarning):
        cbir.move(tmp_path, tmp_path / "deeper")
    assert roots(engine, "c") == {"p": f"{tmp_path}/deeper/p", "q": f"{tmp_path}/deeper/q"}


def test_one_collection_that_cannot_be_changed_does_not_keep_the_others(engine: EmbeddedEngine, tmp_path: Path):
    for name in ("busy", "damaged", "free"):
        filled(engine, name, p=tmp_path / "p")
    (engine.folder / "damaged" / "collection.json").write_text("{")
    with engine.writing("busy"):
        done = run("move", tmp_path / "p", tmp_path, code=1)
    assert "collection 'busy' was left as it was: another process is filling" in done.stderr
    assert "collection 'damaged' was left as it was" in done.stderr
    assert roots(engine, "free") == {"p": str(tmp_path)}
    assert roots(engine, "busy") == {"p": f"{tmp_path}/p"}
    (engine.folder / "damaged" / "collection.json").unlink()
    assert "1 folder changed" in run("move", tmp_path / "p", tmp_path).stdout
    assert roots(engine, "busy") == {"p": str(tmp_path)}


def test_points_with_whole_paths_are_not_moved(engine: EmbeddedEngine, tmp_path: Path):
    engine.create("old", replace(METADATA, sources=(str(tmp_path / "p"),))).close()
    with pytest.raises(CbirError, match=r"older cbir.* cbir ingest .*/q --collection old --retrain"):
        cbir.move(tmp_path / "p", tmp_path / "q", "old")


def test_on_a_server(served: ServedEngine, engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if GIVEN_KEY:
        monkeypatch.setenv("QDRANT_API_KEY", GIVEN_KEY)
    filled(engine, "c", p=tmp_path / "p")
    filled(served, "c", p=tmp_path / "p")
    run("move", f"{tmp_path}/p{os.sep}", tmp_path, "--qdrant-url", served.location)
    assert roots(served, "c") == {"p": str(tmp_path)}
    assert roots(engine, "c") == {"p": f"{tmp_path}/p"}
    with closing(served.open("c")) as collection:
        assert collection.metadata.fingerprint == METADATA.fingerprint
