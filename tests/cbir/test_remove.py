"""Collections that are removed: what is said before, what stays, and who keeps them from being removed."""

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import qdrant_edge as edge
from qdrant_client import models

import cbir
from cbir.collection.embedded import engine as embedded_engine
from cbir.collection.embedded.card import has_metadata
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.collection.filter import AllOf, Among, AnyOf, Filter, Like, Not
from cbir.collection.interface import Engine
from cbir.collection.place import places_of
from cbir.collection.served.engine import ServedEngine
from cbir.core.errors import CbirError
from cbir.core.settings import read_settings
from cbir.search.map.kept import file_of
from cbir.verbs.remove import Removal
from tests.collection.sample import METADATA, fill, ids
from tests.commands import failure, run
from tests.qdrant import GIVEN_KEY


@pytest.fixture
def engine(home: Path) -> EmbeddedEngine:
    """Two collections, `a` and `b`, of three points each."""
    engine = EmbeddedEngine(home / "collections", timeout=0)
    for name in ("a", "b"):
        with closing(engine.create(name, METADATA)) as collection:
            fill(collection, np.ones((3, 4), np.float32))
    return engine


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def at_a_terminal(answer: str, *arguments: object) -> tuple[int, str]:
    """Run a command on a terminal, answer its question, and return its exit code and what the terminal shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cbir", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 120)[0]:
        try:
            read = os.read(ours, 4096)
        except OSError:  # closed at the other end
            break
        if not read:
            break
        asked_before, shown = b"[y/N]" in shown, shown + read
        if b"[y/N]" in shown and not asked_before:
            os.write(ours, answer.encode() + b"\n")
    os.close(ours)
    return process.wait(timeout=120), shown.decode()


def test_a_collection_is_removed_and_pictures_model_and_other_collections_stay(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    cbir.ingest(pictures, collection="other", encoder="pixels")
    before = files(pictures), files(home / "models"), files(home / "collections" / "other")
    done = run("remove", "pictures", "--yes")
    assert f"collection 'pictures' in {home}/collections: 6 points, " in done.stdout
    assert f"its pictures stay where they are: {pictures}" in done.stdout
    assert done.stdout.endswith("removed\n")
    assert not (home / "collections" / "pictures").exists()
    assert (files(pictures), files(home / "models"), files(home / "collections" / "other")) == before
    assert "no collection 'pictures'" in failure("remove", "pictures", "--yes")


def test_nothing_is_removed_without_a_yes(engine: EmbeddedEngine):
    done = run("remove", "a", code=1)
    assert "3 points" in done.stdout
    assert done.stderr == "cbir: nothing was removed: there is no terminal to ask on; --yes removes what is listed\n"
    assert "would" not in run("remove", "a", "--dry-run").stdout
    assert not json.loads(run("remove", "a", "--dry-run", "--json").stdout)["removed"]
    code, shown = at_a_terminal("", "remove", "a")
    assert (code, "nothing was removed" in shown) == (1, True), shown
    # Not the default collection, either: what is removed is named.
    assert "name the collection to remove" in failure("remove", "--yes")
    assert engine.names() == ["a", "b"]
    assert counted(engine) == 3


def test_a_yes_on_the_terminal_removes(engine: EmbeddedEngine):
    code, shown = at_a_terminal("y", "remove", "a")
    assert (code, "Remove it? [y/N]" in shown) == (0, True), shown
    assert engine.names() == ["b"]


def test_the_document_counts(engine: EmbeddedEngine):
    document = json.loads(run("remove", "a", "--yes", "--json").stdout)
    assert document.pop("bytes") > 10_000
    assert document == {
        "collection": "a",
        "location": str(engine.folder),
        "points": 3,
        "stored": 3,
        "places": ["s"],
        "copies": 0,
        "kept": 0,
        "places_off": 0,
        "model": "m",
        "other_names": [],
        "where": None,
        "problem": "",
        "removed": True,
    }


def counted(engine: EmbeddedEngine) -> int:
    with closing(engine.open("a")) as collection:
        return collection.count()


def changes(engine: EmbeddedEngine) -> None:
    with closing(engine.open("a")) as collection:
        fill(collection, np.ones((5, 4), np.float32))


@pytest.mark.parametrize(
    ("meanwhile", "message"),
    [
        (changes, r"has changed meanwhile \(5 of 5 points, not 3 of 3 points\); nothing was removed"),
        (lambda engine: engine.delete("a"), "no collection 'a'"),
    ],
)
def test_what_has_changed_since_it_was_shown_is_not_removed(
    engine: EmbeddedEngine, meanwhile: Callable[[EmbeddedEngine], None], message: str
):
    def approve(planned: Removal) -> bool:
        assert planned.points == 3
        meanwhile(engine)
        return True

    with pytest.raises(CollectionError, match=message):
        cbir.remove("a", approve=approve)
    assert not engine.exists("a") or counted(engine) == 5


def test_nobody_loses_a_collection_while_using_it(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cbir.collection.home.BUSY_TIMEOUT", 0)
    with engine.writing("a"), pytest.raises(CollectionBusyError, match="is filling collection 'a'"):
        cbir.remove("a")
    with closing(engine.open("a")) as reading:
        with pytest.raises(CollectionBusyError, match="open in this process"):
            cbir.remove("a")
        assert reading.count() == 3
    (shard,) = (engine.folder / "a").glob("shard-*")
    used = edge.EdgeShard.load(str(shard))  # as another process would
    with pytest.raises(CollectionBusyError, match="in use by another process"):
        cbir.remove("a")
    used.close()
    assert counted(engine) == 3
    assert cbir.remove("a").removed


def test_a_damaged_collection_can_be_removed_and_a_newer_one_cannot(engine: EmbeddedEngine):
    card = engine.folder / "a" / "collection.json"
    card.write_text("{")
    document = json.loads(run("remove", "a", "--yes", "--json").stdout)
    assert (document["points"], document["removed"], "is damaged" in document["problem"]) == (None, True, True)
    assert not (engine.folder / "a").exists()
    card = engine.folder / "b" / "collection.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "format": 99}))
    assert "upgrade cbir" in failure("remove", "b", "--yes")
    assert card.exists()


def test_a_card_that_names_another_folder_does_not_remove_that(engine: EmbeddedEngine):
    card = engine.folder / "a" / "collection.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "shard": "../b"}))
    before = files(engine.folder / "b")
    cbir.remove("a")
    assert files(engine.folder / "b") == before


def test_killed_in_the_middle_it_is_gone_and_the_rest_is_pruned(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    class KilledError(BaseException):
        pass

    def killed(*arguments: object, **named: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(embedded_engine, "shutil", SimpleNamespace(rmtree=killed))  # nobody else's
        swept = embedded_engine._remove_folder
        patch.setattr(
            embedded_engine, "_remove_folder", lambda folder: swept(folder) if has_metadata(folder) else killed()
        )
        with pytest.raises(KilledError):
            cbir.remove("a")
    assert engine.names() == ["b"]
    assert list((engine.folder / "a").glob("shard-*"))
    (found,) = cbir.prune().removed
    assert (found.kind, found.path) == ("points", engine.folder / "a")
    assert not found.path.exists()
    assert engine.names() == ["b"]


def test_somebody_elses_files_in_the_folder_stay(engine: EmbeddedEngine):
    (engine.folder / "a" / "notes.txt").write_text("mine")
    assert cbir.remove("a").removed
    assert [path.name for path in (engine.folder / "a").iterdir()] == ["notes.txt"]


@pytest.fixture
def url(served: ServedEngine, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if GIVEN_KEY:
        monkeypatch.setenv("QDRANT_API_KEY", GIVEN_KEY)
    for name in ("a", "b"):
        with closing(served.create(name, METADATA)) as collection:
            fill(collection, np.ones((3, 4), np.float32))
    return served.location


def test_a_served_collection_is_removed_with_its_points(url: str, served: ServedEngine):
    document = json.loads(run("remove", "a", "--yes", "--json", "--qdrant-url", url).stdout)
    assert (document["location"], document["points"], document["bytes"]) == (url, 3, None)
    assert served.names() == ["b"]
    assert [c.name for c in served.server.client.get_collections().collections] == ["b@1"]


def test_maps_of_what_is_no_longer_on_a_server_go(url: str, served: ServedEngine, home: Path):
    settings = read_settings(qdrant_url=url)
    created = METADATA.created
    maps = [file_of(settings, *of) for of in (("a", created), ("b", created), ("b", "before"), ("renamed", created))]
    elsewhere = file_of(replace(settings, qdrant_url="http://other:6333"), "a", created)
    earlier = settings.cache / "maps" / "0123.npz"

    def made(*files: Path) -> None:
        for each in files:
            each.parent.mkdir(parents=True, exist_ok=True)
            each.write_bytes(b"0")

    made(*maps, elsewhere, earlier)
    run("remove", "a", "--yes", "--qdrant-url", url)
    assert [each.exists() for each in (*maps, elsewhere, earlier)] == [False, True, False, False, True, False]
    made(maps[0])
    found = json.loads(run("prune", "--yes", "--json", "--qdrant-url", url).stdout)["unused"]
    assert [(each["kind"], each["path"]) for each in found] == [("map", str(maps[0]))]
    assert [each.exists() for each in (*maps[:2], elsewhere)] == [False, True, True]


def test_a_served_collection_is_not_removed_while_it_is_filled(url: str, home: Path):
    from cbir.collection.home import served_engine
    from cbir.core.settings import read_settings

    with closing(served_engine(read_settings(qdrant_url=url))) as filling, filling.writing("a"):
        assert "is filling collection 'a'" in failure("remove", "a", "--yes", "--qdrant-url", url)[0:200]


def test_points_with_another_name_stay_on_the_server(url: str, served: ServedEngine):
    alias = models.CreateAlias(collection_name="a@1", alias_name="prod")
    served.server.client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
    done = run("remove", "prod", "--yes", "--qdrant-url", url)
    assert "its points stay, under their other name: a" in done.stdout
    assert "0 points" in done.stdout
    assert served.names() == ["a", "b"]
    with closing(served.open("a")) as collection:
        assert collection.count() == 3


def test_another_tools_collection_is_not_ours_to_remove(url: str, served: ServedEngine):
    vectors = models.VectorParams(size=2, distance=models.Distance.COSINE)
    served.server.client.create_collection("foreign", vectors_config=vectors)
    assert "no collection 'foreign'" in failure("remove", "foreign", "--yes", "--qdrant-url", url)
    assert served.server.client.collection_exists("foreign")


ALBUMS = ("Holidays/2024", "Holidays", "Work", "Holidays/2023", "")
#: A picture that is in one folder and, copied, in two others.
COPIES = [{"source": "s", "uri": "Holidays/2024/copy.jpg"}, {"source": "s", "uri": "Other/copy.jpg"}]


def fill_albums(engine: Engine, name: str) -> None:
    """Fill a collection with five points in four folders, of which one has two exact copies."""
    with closing(engine.create(name, METADATA)) as collection:
        payloads = [{"uri": f"{folder}/{n}.jpg", "folder": folder} for n, folder in enumerate(ALBUMS)]
        payloads[1]["copies"] = COPIES
        collection.upsert(ids(5), np.eye(5, 4, dtype=np.float32), payloads)


def folders(engine: Engine, name: str) -> list[str]:
    with closing(engine.open(name)) as collection:
        return sorted(p["folder"] for page in collection.scroll(vectors=False) for p in page.payloads)


def test_points_that_pass_a_filter_are_removed_and_no_others(engine: EmbeddedEngine):
    fill_albums(engine, "albums")
    before = engine.metadata("albums")
    done = run("remove", "albums", "--where", "folder=Holidays/**", "--dry-run")
    assert f"collection 'albums' in {engine.folder}: 2 of 5 points" in done.stdout
    assert "1 point stays, as its picture is elsewhere too: only 2 places are removed" in done.stdout
    assert "the next cbir ingest stores them again" in done.stdout
    assert len(folders(engine, "albums")) == 5
    done = run("remove", "--where", "folder=Holidays/**", "--where", "folder!=Holidays", "-c", "albums", "--yes")
    assert "2 of 5 points" in done.stdout
    assert done.stdout.endswith("removed; 3 left\n")
    assert folders(engine, "albums") == ["", "Holidays", "Work"]
    after = engine.metadata("albums")
    assert after.updated > before.updated, "what was counted is counted again"
    assert replace(after, updated=before.updated) == before  # not least, when it was ingested
    document = json.loads(run("remove", "-c", "albums", "--where", "folder=Work", "--yes", "--json").stdout)
    assert document["where"] == {"field": "folder", "in": ["Work"]}
    assert {key: document[key] for key in ("points", "stored", "copies", "bytes", "removed")} == {
        "points": 1,
        "stored": 3,
        "copies": 0,
        "bytes": None,
        "removed": True,
    }
    assert engine.names() == ["a", "albums", "b"]


_OTHER = Like("folder", "Other")


def places(engine: Engine, name: str) -> list[list[str]]:
    with closing(engine.open(name)) as collection:
        return [[p.uri for p in places_of(each)] for page in collection.scroll() for each in page.payloads]


@pytest.mark.parametrize(
    ("where", "gone", "left"),
    [
        ("folder=Other", 0, ["Holidays/1.jpg", "Holidays/2024/copy.jpg"]),
        ("folder=Holidays/**", 2, ["Other/copy.jpg"]),
        ("name=copy.jpg", 0, ["Holidays/1.jpg"]),
        (AnyOf((Like("folder", "Holidays/**"), _OTHER)), 3, None),
        ("source=s", 0, ["Holidays/1.jpg"]),
        (["folder=Other", "camera=a"], 0, ["Holidays/1.jpg", "Holidays/2024/copy.jpg"]),
        (AnyOf((_OTHER, Among("camera", ("b",)))), 1, ["Holidays/1.jpg", "Holidays/2024/copy.jpg"]),
        (AnyOf((_OTHER, Among("camera", ("a",)))), 1, None),
        (
            AllOf((_OTHER, Not(Among("camera", ("b",))))),
            0,
            ["Holidays/1.jpg", "Holidays/2024/copy.jpg"],
        ),
        (["folder=Other", "name=1.jpg"], 0, ["Holidays/1.jpg", "Holidays/2024/copy.jpg", "Other/copy.jpg"]),
    ],
)
def test_of_copies_those_places_are_removed_that_pass(
    engine: EmbeddedEngine, where: Filter | str | list[str], gone: int, left: list[str] | None
):
    fill_albums(engine, "albums")
    with closing(engine.open("albums")) as collection:
        stored = collection.payloads(ids(5))
        cameras = ["a" if number == 1 else "b" if number == 2 else "c" for number in range(5)]
        changed = [{**stored[i], "camera": camera} for i, camera in zip(ids(5), cameras, strict=True)]
        collection.replace_payloads(ids(5), changed)
    before = engine.metadata("albums").updated
    done = cbir.remove("albums", where=where)
    assert (done.points, done.kept) == (gone, int(left is not None and len(left) < 3))
    assert (engine.metadata("albums").updated > before) == bool(done.points or done.kept)
    after = places(engine, "albums")
    assert len(after) == 5 - gone
    assert [uris for uris in after if "1.jpg" in uris[0] or "copy.jpg" in uris[0]] == ([left] if left else [])


def test_no_filter_means_all_points(engine: EmbeddedEngine):
    fill_albums(engine, "albums")
    for where in ([], {}, ""):
        with pytest.raises(CbirError):
            cbir.remove("albums", where=where)
    nothing = run("remove", "albums", "--where", "folder=None", "--yes")
    assert nothing.stderr.endswith("cbir: no point of collection 'albums' passes; nothing was removed\n")
    assert "folder" in failure("remove", "albums", "--where", "foldr=Work", "--yes")  # it lists the fields
    assert "name the collection to remove" in failure("remove", "--yes")
    assert "no collection ''" in failure("remove", "", "--where", "folder=Work", "--yes")  # as of an unset variable
    assert failure("remove", "albums", "--where", "", "--yes")
    assert "Name one collection" in failure("remove", "a", "-c", "b", "--yes")
    assert len(folders(engine, "albums")) == 5


def test_points_are_not_removed_without_a_yes_or_when_they_have_changed(engine: EmbeddedEngine):
    fill_albums(engine, "albums")
    assert "--yes removes what is listed" in run("remove", "albums", "--where", "folder=Work", code=1).stderr

    def approve(planned: Removal) -> bool:
        with closing(engine.open("albums")) as collection:
            collection.replace_payloads(ids(1), [{"folder": "Work"}])
        return True

    with pytest.raises(CbirError, match=r"changed meanwhile \(2 of 5 points, not 1 of 5 points\)"):
        cbir.remove("albums", where={"folder": ["Work"]}, approve=approve)
    with engine.writing("albums"), pytest.raises(CollectionBusyError, match="is filling"):
        cbir.remove("albums", where={"folder": ["Work"]})
    assert len(folders(engine, "albums")) == 5


def test_a_removal_of_many_points_that_is_killed_is_continued(engine: EmbeddedEngine):
    count = 10_000
    with closing(engine.create("many", METADATA)) as collection:
        payloads = [{"folder": "even" if n % 2 == 0 else "odd"} for n in range(count)]
        collection.upsert(ids(count), np.ones((count, 4), np.float32), payloads)

    def killed(stage: str, done: int, total: int | None, note: str = "") -> None:
        assert (stage, total) == ("remove", count // 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cbir.remove("many", where="folder=odd", progress=killed)
    assert count // 2 < len(folders(engine, "many")) < count
    assert cbir.remove("many", where="folder=odd").removed
    assert folders(engine, "many") == ["even"] * (count // 2)


def test_points_on_a_server(url: str, served: ServedEngine):
    fill_albums(served, "albums")
    alias = models.CreateAlias(collection_name="albums@1", alias_name="prod")
    served.server.client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
    done = run("remove", "albums", "--where", "folder=Holidays/**", "--yes", "--qdrant-url", url)
    assert "2 of 5 points" in done.stdout
    assert "the same points are removed from prod" in done.stdout
    assert folders(served, "prod") == folders(served, "albums") == ["", "Other", "Work"]
