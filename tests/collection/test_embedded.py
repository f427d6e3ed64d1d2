"""What is particular to Qdrant Edge: folders, locks, kills, and the index."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge

from cbir.collection.embedded import building, points, shards
from cbir.collection.embedded.building import INDEX_PAYS_ABOVE
from cbir.collection.embedded.card import read_metadata, write_metadata
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.shards import DISK_RESERVE
from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.collection.filter import Among
from cbir.collection.layout import Layout
from tests.collection.sample import METADATA, fill, ids


@pytest.fixture
def engine(tmp_path: Path) -> EmbeddedEngine:
    return EmbeddedEngine(tmp_path / "collections", timeout=0)


def in_another_process(engine: EmbeddedEngine, code: str) -> subprocess.Popen[str]:
    """Run code with an `engine` and wait until it prints a line."""
    head = f"""
        import sys, numpy as np
        from pathlib import Path
        from cbir.collection.embedded.engine import EmbeddedEngine
        from tests.collection.sample import METADATA, fill, ids
        engine = EmbeddedEngine(Path({str(engine.folder)!r}))
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_collection_used_by_another_process_is_busy_until_it_closes(engine: EmbeddedEngine):
    engine.create("used", METADATA).close()
    (folder,) = (engine.folder / "used").glob("shard-*")
    # Edge locks a shard against its own process too, if it is opened past ours.
    shard = edge.EdgeShard.load(str(folder))
    with pytest.raises(
        CollectionBusyError, match=r"'used' is in use by another process.* beside cbir serve.* or on a Qdrant"
    ):
        engine.open("used")
    # An engine with a timeout opens it as soon as the other has closed it.
    closing_soon = threading.Timer(0.2, shard.close)
    closing_soon.start()
    EmbeddedEngine(engine.folder, timeout=30).open("used").close()
    closing_soon.join()


def test_a_killed_process_loses_nothing_that_upsert_returned_for(engine: EmbeddedEngine):
    process = in_another_process(
        engine,
        """
        c = engine.create('killed', METADATA)
        fill(c, np.ones((1000, 4), np.float32), [3] * 1000)
        print('ready', flush=True)
        sys.stdin.read()
        """,
    )
    kill(process)
    collection = engine.open("killed")
    assert collection.count() == 1000
    assert collection.count(where={"label": [3]}) == 1000
    collection.close()


def test_a_killed_replacement_leaves_the_old_collection_and_is_removed_later(engine: EmbeddedEngine):
    collection = engine.create("c", METADATA)
    fill(collection, np.ones((3, 4), np.float32))
    collection.close()
    process = in_another_process(
        engine,
        """
        with engine.replacement('c', METADATA) as new:
            fill(new, np.zeros((9, 4), np.float32))
            print('ready', flush=True)
            sys.stdin.read()
        """,
    )
    kill(process)
    kept = engine.open("c")
    assert kept.count() == 3
    kept.close()
    assert len(list((engine.folder / "c").glob("shard-*"))) == 2
    with engine.replacement("c", METADATA) as new:
        fill(new, np.zeros((5, 4), np.float32))
    assert len(list((engine.folder / "c").glob("shard-*"))) == 1


def test_readers_never_miss_a_collection_that_is_being_replaced(engine: EmbeddedEngine):
    first = engine.create("c", METADATA)
    fill(first, np.ones((7, 4), np.float32))
    first.close()
    process = in_another_process(
        engine,
        """
        print('ready', flush=True)
        for _ in range(15):
            with engine.replacement('c', METADATA) as new:
                fill(new, np.ones((7, 4), np.float32))
        """,
    )
    reader = EmbeddedEngine(engine.folder, timeout=30)
    while process.poll() is None:
        assert reader.names() == ["c"]
        collection = reader.open("c")
        assert collection.count() == 7
        assert len(collection.search(np.ones(4, np.float32), 9)) == 7
        collection.info()
        collection.close()
    assert process.communicate()[0] == ""
    assert process.returncode == 0


def test_one_process_fills_a_collection_at_a_time(engine: EmbeddedEngine):
    with (
        EmbeddedEngine(engine.folder).writing("c"),
        pytest.raises(CollectionBusyError, match="another process is filling collection 'c'"),
        engine.writing("c"),
    ):
        pass
    with engine.writing("c"):
        pass
    assert not (engine.folder / "c").exists()


def test_a_nearly_full_disk_is_refused_before_the_system_kills_us(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    collection = engine.create("c", METADATA)
    usage = shutil.disk_usage(engine.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=DISK_RESERVE - 1))
    with pytest.raises(CollectionError, match=r"are free at .* free some space"):
        fill(collection, np.ones((3, 4), np.float32))
    assert collection.count() == 0
    collection.close()
    with pytest.raises(CollectionError, match="are free at"):
        engine.create("d", METADATA)
    assert engine.names() == ["c"]


def test_leftovers_of_killed_processes_are_not_listed(engine: EmbeddedEngine):
    engine.create("whole", METADATA).close()
    (engine.folder / ".half.x1y2").mkdir()
    (engine.folder / "empty").mkdir()
    assert engine.names() == ["whole"]


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", ".hidden", "a" * 200, "trailing.", "nul\0"])
def test_names_that_are_not_valid_folder_names_are_refused(engine: EmbeddedEngine, name: str):
    with pytest.raises(CollectionError, match="cannot name a collection"):
        engine.create(name, METADATA)


def test_names_may_have_unicode_and_spaces(engine: EmbeddedEngine):
    engine.create("münchen käse 2", METADATA).close()
    assert engine.names() == ["münchen käse 2"]


def test_a_damaged_metadata_file_is_refused(engine: EmbeddedEngine):
    engine.create("c", METADATA).close()
    (engine.folder / "c" / "collection.json").write_text("{}")
    with pytest.raises(CollectionError, match=r"collection\.json is damaged.*--retrain"):
        engine.open("c")


@pytest.mark.parametrize(("damaged", "raised"), [("status.dat", "PanicException"), ("tracker.dat", "Exception")])
def test_damaged_files_raise_a_collection_error_even_if_qdrant_panics(
    engine: EmbeddedEngine, damaged: str, raised: str
):
    collection = engine.create("c", METADATA)
    fill(collection, np.ones((7, 4), np.float32), [1] * 7)
    collection.close()
    (shard,) = (engine.folder / "c").glob("shard-*")
    files = list(shard.rglob(damaged))
    for file in files:
        file.write_bytes(b"")
    with pytest.raises(BaseException) as bare:  # noqa: PT011 - what Edge raises is not an Exception
        edge.EdgeShard.load(str(shard))
    assert type(bare.value).__name__ == raised
    with pytest.raises(CollectionError, match=r"collection 'c': .*--retrain"):
        engine.open("c")


def test_one_process_may_open_a_collection_many_times(engine: EmbeddedEngine):
    first = engine.create("c", METADATA)
    second = engine.open("c")
    fill(first, np.ones((2, 4), np.float32))
    first.close()
    first.close()
    assert second.count() == 2
    second.close()
    third = engine.open("c")
    assert third.count() == 2
    third.close()


def test_a_missing_shard_is_refused_and_the_message_says_how_to_rebuild(engine: EmbeddedEngine):
    engine.create("c", METADATA).close()
    (shard,) = (engine.folder / "c").glob("shard-*")
    shutil.rmtree(shard)
    with pytest.raises(CollectionError, match=r"'c'.*--retrain"):
        engine.open("c")


def test_the_index_finds_what_exact_search_finds(engine: EmbeddedEngine):
    collection = engine.create("indexed", METADATA)
    vectors = np.random.default_rng(0).random((5_000, 4), np.float32)
    collection.upsert(ids(len(vectors)), vectors, [{}] * len(vectors))
    assert INDEX_PAYS_ABOVE > 5_000 * 4
    assert not collection.index_pays()
    exact = collection.search_batch(vectors[:50] + 0.01, 10, exact=True)
    assert collection.info().indexed == 0
    collection.build_index()
    assert collection.info().indexed == 5_000
    served = collection.search_batch(vectors[:50] + 0.01, 10)
    shares = [len({h.id for h in a} & {h.id for h in b}) / 10 for a, b in zip(exact, served, strict=True)]
    assert np.mean(shares) > 0.95
    assert collection.count() == 5_000
    collection.close()


@pytest.mark.parametrize("quantization", ["int8", "binary", "turbo"])
def test_smaller_copies_are_searched_and_the_originals_rank(tmp_path: Path, quantization: str):
    vectors = np.random.default_rng(0).normal(size=(3000, 32)).astype(np.float32)
    engine = EmbeddedEngine(tmp_path, layout=Layout(quantization, on_disk=True))
    with closing(engine.create("c", replace(METADATA, dimension=32))) as collection:
        fill(collection, vectors)
        collection.build_index()
    assert list(tmp_path.glob("c/shard-*/segments/*/vector_storage/quantized.data"))
    with closing(EmbeddedEngine(tmp_path).open("c")) as collection:  # the shard itself knows how it is kept
        found, exact = (collection.search_batch(vectors[:50] + 0.01, 5, exact=each) for each in (False, True))
    # Of 32 values, two bits and fewer tell little: what is found may not be the closest, but its distance is its own.
    distances = {(row, hit.id): hit.distance for row, hits in enumerate(exact) for hit in hits}
    both = [(row, hit) for row, hits in enumerate(found) for hit in hits if (row, hit.id) in distances]
    assert len(both) >= {"int8": 248, "turbo": 240, "binary": 60}[quantization]
    assert [hit.distance for _, hit in both] == pytest.approx([distances[row, hit.id] for row, hit in both], rel=1e-6)


def test_what_is_loaded_is_written_to_disk_now_and_then(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cbir.collection.embedded.points.FLUSH_STEP", 100)
    collection = engine.create("c", METADATA)
    written = []
    for start in range(0, 200, 50):
        collection.upsert(ids(200)[start : start + 50], np.ones((50, 4), np.float32), [{}] * 50)
        written.append(sum(file.stat().st_size for file in engine.folder.rglob("*id_tracker*")))
    collection.close()
    assert written[0] < written[1] == written[2] < written[3]


@pytest.mark.parametrize(("compared", "least"), [(0, 4.5), (points.COMPARED, 5.0)])
def test_few_that_pass_a_filter_are_found_though_the_graph_was_built_before_their_field_was_indexed(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch, compared: int, least: float
):
    monkeypatch.setattr(points, "COMPARED", compared)
    monkeypatch.setattr("cbir.collection.embedded.kept._FULL_SCAN_KB", 1)  # more would have to pass, of a million
    vectors = np.random.default_rng(0).normal(size=(20_000, 16)).astype(np.float32)
    with closing(engine.create("c", replace(METADATA, dimension=16))) as collection:
        payloads = [{"uri": f"u{row}", **({"camera": "rare"} if row % 50 == 0 else {})} for row in range(len(vectors))]
        collection.upsert(ids(len(vectors)), vectors, payloads)
        collection.build_index()
        rare = Among("camera", ("rare",))
        found, exact = (collection.search_batch(vectors[1:50], 5, where=rare, exact=each) for each in (False, True))
    shared = [len({hit.id for hit in a} & {hit.id for hit in b}) for a, b in zip(found, exact, strict=True)]
    assert np.mean(shared) >= least


def test_the_index_grows_while_points_are_loaded(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(building, "INDEX_STEP", 400 * 4)
    vectors, seen = np.random.default_rng(0).random((1_500, 4), np.float32), []
    with closing(engine.create("loaded", METADATA)) as collection:
        collection.pause_indexing()
        for start in range(0, 1_500, 300):
            some = slice(start, start + 300)
            collection.upsert(ids(1_500)[some], vectors[some], [{}] * 300)
            seen.append(collection.info().indexed)
        assert seen == [0, 600, 600, 1_200, 1_200], "as soon as 400 are new"
        assert collection.search(vectors[1_499], 1)[0].id == ids(1_500)[-1], "those that are not in the index, too"
    with closing(engine.open("loaded")) as collection:
        assert collection.info().indexed == 1_200


def test_searches_go_on_while_the_index_is_built(engine: EmbeddedEngine):
    vectors = np.random.default_rng(0).random((10_000, 16), np.float32)
    with closing(engine.create("c", replace(METADATA, dimension=16))) as collection:
        collection.upsert(ids(10_000), vectors, [{}] * 10_000)
        other = engine.open("c")
        build = threading.Thread(target=collection.build_index)
        build.start()
        meanwhile = []
        while build.is_alive():
            assert other.search(vectors[7], 1)[0].id == ids(10_000)[7]
            meanwhile += list((engine.folder / "c").glob("shard-*/temp_segments/*"))
        assert len(meanwhile) > 3
        other.upsert([ids(10_001)[-1]], vectors[:1], [{}])
        other.close()
        assert (collection.count(), collection.info().indexed) == (10_001, 10_000)
    with closing(engine.open("c")) as collection:
        assert (collection.count(), collection.info().indexed, collection.clean) == (10_001, 10_000, True)
    assert len(list((engine.folder / "c").glob("shard-*"))) == 1


def test_closing_ends_the_building_of_an_index(engine: EmbeddedEngine):
    vectors, failures = np.random.default_rng(0).random((10_000, 16), np.float32), []
    collection = engine.create("c", replace(METADATA, dimension=16))
    collection.upsert(ids(10_000), vectors, [{}] * 10_000)

    def build() -> None:
        try:
            collection.build_index()
        except CollectionError as error:
            failures.append(str(error))

    building = threading.Thread(target=build)
    building.start()
    while len(list((engine.folder / "c").glob("shard-*"))) < 2:
        time.sleep(0.01)
    collection.close()
    building.join()
    assert failures == ["collection 'c': it was cancelled"]
    assert len(list((engine.folder / "c").glob("shard-*"))) == 1
    with closing(engine.open("c")) as collection:
        assert (collection.count(), collection.info().indexed, collection.clean) == (10_000, 0, True)


@pytest.mark.parametrize("used", [False, True])
def test_a_shard_that_loses_its_place_while_it_is_opened_is_left_alone(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch, used: bool
):
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.eye(4, dtype=np.float32))
    (before,) = (engine.folder / "c").glob("shard-*")
    held = []

    def meanwhile(collections: Path, name: str) -> None:
        metadata, shard = read_metadata(collections / name)
        if shard == before.name:  # what another process does that has built the index
            shutil.copytree(before, before.with_name("shard-built"))
            held.extend([edge.EdgeShard.load(str(before))] if used else [])
            write_metadata(collections / name, metadata, "shard-built")

    monkeypatch.setattr("cbir.collection.embedded.engine.borrowed", meanwhile)
    with closing(engine.open("c")) as collection:
        assert (collection.shard, collection.count()) == ("shard-built", 4)
    assert not shards.open_shards.users(before)


def test_a_closed_collection_begins_no_index(engine: EmbeddedEngine):
    collection, other = engine.create("c", METADATA), engine.open("c")
    fill(collection, np.eye(4, dtype=np.float32))
    collection.close()
    with closing(other), pytest.raises(CollectionError, match="cancelled"):
        collection.build_index()
    assert len(list((engine.folder / "c").glob("shard-*"))) == 1


def test_closing_waits_while_the_copy_takes_the_place(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    collection = engine.create("c", METADATA)
    collection.upsert(ids(500), np.random.default_rng(0).random((500, 4), np.float32), [{}] * 500)
    loaded, count = threading.Event(), edge.CountRequest

    def slowly(**asked: bool) -> edge.CountRequest:
        loaded.set()
        time.sleep(0.2)
        return count(**asked)

    monkeypatch.setattr(edge, "CountRequest", slowly)
    build = threading.Thread(target=collection.build_index)
    build.start()
    assert loaded.wait(30)
    collection.close()
    monkeypatch.undo()
    build.join()
    with closing(engine.open("c")) as collection:
        assert (collection.count(), collection.info().indexed, collection.clean) == (500, 500, True)


def no_room(shard: Path, built: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(built))


def test_points_are_stored_though_the_disk_is_full_when_the_index_is_to_grow(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(building, "_build", no_room)
    monkeypatch.setattr(building, "INDEX_STEP", 4 * 4)
    with closing(engine.create("c", METADATA)) as collection:
        collection.pause_indexing()
        fill(collection, np.eye(4, dtype=np.float32))
        assert collection.count() == 4
        with pytest.raises(CollectionError, match=r"'c': .* No space left .*; free some space"):
            collection.build_index()
    assert len(list((engine.folder / "c").glob("shard-*"))) == 1


def test_all_of_a_copy_is_on_disk_before_it_takes_the_place(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    with closing(engine.create("c", METADATA)) as collection:
        collection.upsert(ids(500), np.random.default_rng(0).random((500, 4), np.float32), [{}] * 500)
        collection.build_index()
    (shard,) = (engine.folder / "c").glob("shard-*")
    synced, sync = set(), os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    built = shards.new_folder(engine.folder / "c")
    building._build(shard, built)
    assert synced >= {each.stat().st_ino for each in (built, *built.rglob("*"))}


def crash(shard: Path, built: Path) -> None:
    """End this process as one without memory is, in the middle of building."""
    (built / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def lose(shard: Path, built: Path) -> None:
    """Copy a shard but for a point, as when another process removes files of the copy."""
    opened = edge.EdgeShard.load(str(shutil.copytree(shard, built, dirs_exist_ok=True)))
    opened.update(edge.UpdateOperation.delete_points(ids(1)))
    opened.close()


@pytest.mark.parametrize(
    ("build", "said"),
    [(crash, "'c': its process was killed, as happens when memory runs out"), (lose, "its copy has 3 points, not 4")],
)
def test_an_index_that_is_not_built_whole_is_an_error_and_nothing_else(
    build: Callable[[Path, Path], None], said: str, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(building, "_build", build)
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.eye(4, dtype=np.float32))
        with pytest.raises(CollectionError, match=said):
            collection.build_index()
        assert collection.count() == len(collection.search(np.ones(4), 10)) == 4
    with closing(engine.open("c")) as collection:
        assert (collection.count(), collection.clean) == (4, True)
    assert len(list((engine.folder / "c").glob("shard-*"))) == 1


def test_what_is_left_of_a_killed_building_goes_when_it_is_filled_again(engine: EmbeddedEngine):
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.eye(4, dtype=np.float32))
    (shard,) = (engine.folder / "c").glob("shard-*")
    shutil.copytree(shard, shard.with_name("shard-half"))
    (shard.with_name("shard-half") / "edge_config.json").unlink(missing_ok=True)
    with engine.writing("c"), closing(engine.open("c")) as collection:
        assert list((engine.folder / "c").glob("shard-*")) == [shard]
        assert collection.count() == 4


def test_what_is_left_is_found_without_being_opened(engine: EmbeddedEngine):
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.eye(4, dtype=np.float32))
    (shard,) = (engine.folder / "c").glob("shard-*")
    half = shard.with_name("shard-half")
    (half / "wal").mkdir(parents=True)
    shutil.copy(shard / "edge_config.json", half)
    before = sorted(half.rglob("*"))
    assert [left.path for left in engine.leftovers()] == [half]
    assert sorted(half.rglob("*")) == before, "on a full disk, opening it would end the process"
    held = edge.EdgeShard.load(str(half))
    assert engine.leftovers() == []
    held.close()
    with engine.writing("c"):
        assert list(shard.parent.glob("shard-*")) == [shard]


def test_a_collection_that_was_filled_anew_keeps_its_points_when_an_index_is_built(engine: EmbeddedEngine):
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.eye(4, dtype=np.float32))
        with engine.replacement("c", METADATA) as anew:
            fill(anew, np.eye(4, dtype=np.float32)[:2])
        with pytest.raises(CollectionError, match="'c' was filled anew by another process"):
            collection.build_index()
        assert collection.count() == 4
        assert len(list((engine.folder / "c").glob("shard-*"))) == 2
    with closing(engine.open("c")) as collection:
        assert collection.count() == 2


def test_a_load_can_leave_the_index_for_later(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(building, "INDEX_STEP", 400 * 4)
    with closing(engine.create("loaded", METADATA)) as collection:
        collection.pause_indexing(entirely=True)
        collection.upsert(ids(600), np.random.default_rng(0).random((600, 4), np.float32), [{}] * 600)
        assert not collection.info().indexed


def test_no_index_is_built_where_there_is_no_room(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(building, "INDEX_STEP", 600 * 4)
    vectors = np.random.default_rng(0).random((620, 4), np.float32)
    with closing(engine.create("loaded", METADATA)) as collection:
        collection.pause_indexing()
        collection.upsert(ids(620)[:560], vectors[:560], [{}] * 560)
        room = DISK_RESERVE + 500 * 16  # for the points that come, not for a copy of all
        monkeypatch.setattr(shards, "free_bytes", lambda folder: room)
        monkeypatch.setattr("cbir.core.disk.free_bytes", lambda folder: room)
        collection.upsert(ids(620)[560:], vectors[560:], [{}] * 60)
        assert (collection.count(), collection.info().indexed) == (620, 0)
        with pytest.raises(CollectionError, match="free some space"):
            collection.build_index()
