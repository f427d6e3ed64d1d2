"""What is damaged on disk is found: a checksum for each point, and what is remembered of the last end."""

import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.collection.archive import write_archive
from cbir.collection.damage import Damage
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.embedded.unclean import DamageWarning
from cbir.collection.errors import CollectionError
from cbir.collection.interface import Collection, Engine
from cbir.collection.lent.borrowed import BorrowedCollection
from cbir.collection.point import CHECKSUM
from cbir.collection.transfer import transfer
from cbir.collection.unpack import read_archive
from cbir.core.errors import CbirWarning
from tests.collection.lent import Holder
from tests.collection.sample import METADATA, fill, ids

VECTORS = np.random.default_rng(3).random((200, 4), np.float32)

FIELDS = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5).filter(lambda k: k != "id"),
    st.none()
    | st.booleans()
    | st.integers(1 - 2**63, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
    | st.lists(st.text(st.characters(codec="ascii"), max_size=3) | st.integers(-9, 9), max_size=3),
    max_size=4,
)


# --- Both engines


def test_no_checksum_is_handed_out(points: Collection):
    stored = fill(points, VECTORS[:3], [1, 2, 3])
    payloads = [
        *points.payloads(stored).values(),
        *(hit.payload for hit in points.search(VECTORS[0], 3)),
        *(payload for page in points.scroll() for payload in page.payloads),
        *(payload for page in points.scroll(fields=["uri", "label"]) for payload in page.payloads),
        *(payload for page in points.scroll(vectors=False) for payload in page.payloads),
    ]
    assert len(payloads) == 15
    assert {frozenset(payload) for payload in payloads} == {frozenset({"uri", "label"})}


def test_what_is_stored_is_sound_and_stays_so_when_it_is_written_again(points: Collection):
    stored = fill(points, VECTORS)
    points.replace_payloads(stored[:50], [{"uri": f"b{n}", "gps": {"lon": 2.35, "lat": 1 / 3}} for n in range(50)])
    fill(points, -VECTORS[:20])
    points.delete(stored[190:])
    damage = points.verify()
    assert damage.none
    assert (damage.points, damage.unsigned, damage.changed) == (190, 0, 0)


def test_numbers_that_qdrant_reads_inexactly_are_no_damage(points: Collection):
    wide = np.random.default_rng(0).integers(2**52, 2**62, 200)
    points.upsert(ids(200), np.zeros((200, 4), np.float32), [{"numbers": [float(n), n / 2**56]} for n in wide.tolist()])
    assert points.verify().none


@given(
    vectors=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4), fields=FIELDS
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_point_comes_back_as_its_checksum_says(points: Collection, vectors: list[float], fields: dict[str, object]):
    points.upsert(ids(1), np.array([vectors], np.float32), [fields])
    damage = points.verify()
    assert (damage.vectors, damage.fields, damage.changed, damage.unsigned) == ((), (), 0, 0)


@pytest.mark.filterwarnings("ignore::cbir.collection.embedded.unclean.DamageWarning")
def test_vectors_that_somebody_else_changed_are_found_and_neither_copied_nor_archived(
    engine: Engine, points: Collection, tmp_path: Path
):
    stored = fill(points, VECTORS[:30])
    tamper(points, stored[7], vector=[9, 9, 9, 9])
    assert points.verify().vectors == (stored[7],)
    points.replace_payloads([stored[7]], [{"uri": "touched"}])  # a new payload does not make the vector right
    damage = points.verify()
    assert (damage.vectors, damage.fields, damage.changed) == ((stored[7],), (), 0)
    assert str(damage) == "1 point of 30 damaged"
    points.close()
    target = EmbeddedEngine(tmp_path / "target")
    with pytest.warns(CbirWarning, match="of collection 'points', 1 damaged point is left out: cbir info points"):
        assert transfer(engine, target, "points").points == 29
    with closing(engine.open("points")) as opened, pytest.warns(CbirWarning, match="1 damaged point is left out"):
        write_archive(opened, tmp_path / "archive.zip")
    read_archive(tmp_path / "archive.zip", target, "restored")
    with closing(target.open("restored")) as restored:
        assert restored.count() == 29
        assert restored.verify().none


def test_fields_that_others_change_are_damage_only_where_nobody_else_writes(points: Collection):
    stored = fill(points, VECTORS[:30])
    tamper(points, stored[3], payload={"uri": "elsewhere"})
    damage = points.verify()
    if isinstance(points, EmbeddedCollection | BorrowedCollection):
        assert (damage.fields, damage.changed, damage.none) == ((stored[3],), 0, False)
    else:
        assert (damage.fields, damage.changed, damage.none) == ((), 1, True)


def tamper(
    points: Collection, identity: str, *, vector: list[float] | None = None, payload: dict | None = None
) -> None:
    """Change a point as a damaged disk or another program would: past cbir."""
    if isinstance(points, BorrowedCollection):
        with closing(Holder(Path(points.info().location).parent).open(points.name)) as held:
            tamper(held, identity, vector=vector, payload=payload)
        return
    if isinstance(points, EmbeddedCollection):
        update = points._shard.update
        if vector is not None:
            update(edge.UpdateOperation.update_vectors([edge.PointVectors(identity, vector)]))
        if payload is not None:
            update(edge.UpdateOperation.set_payload([identity], payload))
        return
    from qdrant_client import models

    client, name = points._server.client, points._physical
    if vector is not None:
        client.update_vectors(name, [models.PointVectors(id=identity, vector=vector)], wait=True)
    if payload is not None:
        client.set_payload(name, payload, points=[identity], wait=True)


# --- Embedded


@pytest.fixture
def embedded(tmp_path: Path) -> EmbeddedEngine:
    return EmbeddedEngine(tmp_path / "collections", timeout=0)


@pytest.fixture
def filled(embedded: EmbeddedEngine) -> Iterator[EmbeddedEngine]:
    with closing(embedded.create("c", METADATA)) as collection:
        fill(collection, VECTORS, [1, 2] * 100)
    return embedded


def overwrite(engine: EmbeddedEngine, file: str, wanted: bytes, by: bytes) -> None:
    """Damage the files of a collection that hold some bytes."""
    done = 0
    for path in (engine.folder / "c").rglob(file):
        content = path.read_bytes()
        if wanted in content:
            path.write_bytes(content.replace(wanted, by, 1))
            done += 1
    assert done


def damage_a_vector(engine: EmbeddedEngine) -> None:
    overwrite(engine, "chunk_*.mmap", VECTORS[5].tobytes(), np.full(4, 7, np.float32).tobytes())


def test_a_vector_damaged_on_disk_is_found_and_remembered_until_it_is_stored_again(filled: EmbeddedEngine):
    damage_a_vector(filled)
    with closing(filled.open("c")) as unsuspecting:  # it was closed properly: nothing is checked, nothing said
        assert unsuspecting.damage is None
        assert unsuspecting.verify().vectors == (ids(6)[5],)
    for _ in range(2):
        with pytest.warns(DamageWarning, match=r"of collection 'c', 1 point of 200 damaged; .* cbir info c --check"):
            collection = filled.open("c")
        assert collection.damage == Damage(200, None, vectors=(ids(6)[5],))
        collection.close()
    with pytest.warns(DamageWarning):
        collection = filled.open("c")
    with closing(collection):
        collection.upsert([ids(6)[5]], VECTORS[5:6], [{"uri": "u5"}])
    with closing(filled.open("c")) as mended:
        assert mended.damage is not None
        assert mended.damage.none
    with closing(filled.open("c")) as clean:
        assert clean.damage is None


def test_damage_is_remembered_also_where_no_index_is_made_anew(embedded: EmbeddedEngine):
    with closing(embedded.create("c", METADATA)) as collection:
        fill(collection, VECTORS)
        assert not collection._shard.info().payload_schema
    damage_a_vector(embedded)
    with closing(embedded.open("c")) as unsuspecting:
        assert unsuspecting.verify().vectors == (ids(6)[5],)
    with pytest.warns(DamageWarning, match="1 point of 200 damaged"):
        collection = embedded.open("c")
    with closing(collection):
        collection.delete([ids(6)[5]])
    embedded.open("c").close()  # checked once more, and sound
    with closing(embedded.open("c")) as clean:
        assert clean.damage is None


def test_fields_damaged_on_disk_are_found(filled: EmbeddedEngine):
    overwrite(filled, "page_*.dat", b"u199", b"u919")
    with closing(filled.open("c")) as collection:
        assert collection.verify().fields == (ids(200)[199],)


def test_points_that_vanish_are_counted(filled: EmbeddedEngine):
    for file in (filled.folder / "c").rglob("mutable_id_tracker.versions"):
        file.write_bytes(file.read_bytes()[: 8 * 150])
    with pytest.warns(DamageWarning, match="of collection 'c', 50 points lost"):
        collection = filled.open("c")
    with closing(collection):
        assert collection.damage == Damage(150, 200)
    assert not collection.damage.none


def test_an_index_of_a_field_is_made_anew_by_a_check(filled: EmbeddedEngine):
    for file in (filled.folder / "c").rglob("payload_index/*/page_0.dat"):
        file.write_bytes(bytes(file.stat().st_size))
    with closing(filled.open("c")) as collection:
        assert collection.verify().none
        assert collection.count(where={"label": [1]}) == 100
        assert collection._shard.info().payload_schema.keys() == {"label"}


def test_a_collection_that_was_closed_is_not_checked_when_it_is_opened(
    filled: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(EmbeddedCollection, "verify", lambda *_: pytest.fail("checked"))
    for _ in range(2):
        with closing(filled.open("c")) as collection:
            collection.search(VECTORS[0], 3)
            assert collection.closed_with == 200
    with closing(filled.open("c")) as collection:
        collection.delete(ids(2))
        assert collection.closed_with is None
    with closing(filled.open("c")) as collection:
        assert collection.closed_with == 198


def test_points_of_an_older_cbir_have_no_checksum_and_are_not_damaged(filled: EmbeddedEngine):
    (shard,) = (filled.folder / "c").glob("shard-*")
    with closing(filled.open("c")) as collection:
        collection._shard.update(edge.UpdateOperation.delete_payload(ids(200), [CHECKSUM]))
    (shard / "cbir-state.json").unlink()
    with closing(filled.open("c")) as collection:
        damage = collection.verify()
        assert (damage.none, damage.unsigned, damage.points) == (True, 200, 200)
        fill(collection, VECTORS[:10])
        collection.replace_payloads([ids(20)[15]], [{"uri": "new"}])
        assert collection.verify().unsigned == 190
    with closing(filled.open("c")) as collection:  # and whoever writes to it is watched from now on
        assert (collection.closed_with, collection.signed, collection.verify().unsigned) == (200, False, 190)


def test_what_an_older_cbir_adds_is_no_damage(filled: EmbeddedEngine):
    """It writes neither checksums nor the state; but it changes when the collection was updated."""
    (shard,) = (filled.folder / "c").glob("shard-*")
    state = (shard / "cbir-state.json").read_bytes()
    bare = edge.EdgeShard.load(str(shard))
    bare.update(edge.UpdateOperation.upsert_points([edge.Point(ids(300)[299], [1.0, 2, 3, 4], {"uri": "x"})]))
    bare.close()
    card = filled.folder / "c" / "collection.json"
    card.write_text(card.read_text().replace(METADATA.updated, "2026-02-02T00:00:00+00:00"))
    with closing(filled.open("c")) as collection:
        damage = collection.verify()
        assert (damage.none, damage.unsigned, damage.points) == (True, 1, 201)
    assert (shard / "cbir-state.json").read_bytes() != state


def test_a_reader_that_closes_it_last_does_not_undo_what_a_writer_remembered(filled: EmbeddedEngine):
    """Both in one process, as `cbir.ingest` beside a searcher: the time that the writer stored counts."""
    reader = filled.open("c")
    with closing(filled.open("c")) as writer:
        writer.upsert(ids(201)[200:], VECTORS[:1], [{"uri": "x"}])
        writer.remember(replace(writer.metadata, updated="2026-02-02T00:00:00+00:00"))
    reader.close()
    with closing(filled.open("c")) as collection:
        assert (collection.signed, collection.closed_with) == (True, 201)


def test_every_point_of_a_collection_that_took_anothers_place_has_a_checksum(filled: EmbeddedEngine):
    with filled.replacement("c", METADATA) as collection:
        fill(collection, VECTORS[:7])
    with closing(filled.open("c")) as collection:
        assert (collection.signed, collection.closed_with) == (True, 7)


def test_a_search_writes_nothing_to_disk(filled: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    filled.open("c").close()
    collection = filled.open("c")
    collection.search(VECTORS[0], 3)
    monkeypatch.setattr(collection._opened, "shard", Unwritten(collection._shard))
    collection.close()


class Unwritten:
    """A shard that fails if it is told to write to disk."""

    def __init__(self, shard: edge.EdgeShard) -> None:
        self.close = shard.close

    def flush(self) -> None:
        pytest.fail("written to disk, which takes 50 ms")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"clean": 1}', '{"clean": "no", "points": [], "signed": 0}'])
def test_a_state_that_cannot_be_read_has_the_points_checked(filled: EmbeddedEngine, content: str):
    (state,) = (filled.folder / "c").rglob("cbir-state.json")
    state.write_text(content)
    damage_a_vector(filled)
    with pytest.warns(DamageWarning, match="1 point of 200 damaged"):
        filled.open("c").close()


def test_a_check_of_a_large_collection_is_announced(filled: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    (state,) = (filled.folder / "c").rglob("cbir-state.json")
    state.write_text(state.read_text().replace("true", "false", 1))
    monkeypatch.setattr("cbir.collection.embedded.unclean._LONG", 10)
    with pytest.warns(DamageWarning, match="whoever changed collection 'c' last was stopped; its 200 points are"):
        filled.open("c").close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled.open("c").close()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("payload_index/*/page_0.dat", lambda old: bytes(len(old))),
        ("mutable_id_tracker.versions", lambda old: old[: 8 * 150]),
        ("payload_storage/tracker.dat", lambda old: old[:200] + bytes(64) + old[264:]),
        ("vectors/config.json", lambda old: old + b" "),
    ],
)
def test_a_changed_file_that_says_where_points_are_has_the_points_checked(filled: EmbeddedEngine, file: str, content):
    """Without being asked: it is found when the collection is opened, and mended where that is possible."""
    with closing(filled.open("c")) as collection:
        whole = [hit.payload for hit in collection.search(VECTORS[0], 200, where={"label": [1]}, exact=True)]
    paths = [path for path in (filled.folder / "c").rglob(file) if content(path.read_bytes()) != path.read_bytes()]
    for path in paths:
        path.write_bytes(content(path.read_bytes()))
    assert paths
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            collection = filled.open("c")
        except CollectionError as error:
            assert "--retrain" in str(error)  # noqa: PT017
            return
    with closing(collection):
        found = [hit.payload for hit in collection.search(VECTORS[0], 200, where={"label": [1]}, exact=True)]
    assert found == whole or [each for each in said if issubclass(each.category, DamageWarning)]


def test_a_vector_that_a_damaged_file_calls_deleted_is_damaged(filled: EmbeddedEngine):
    (flags,) = (filled.folder / "c").rglob("vector_storage/deleted/flags_a.dat")
    content = bytearray(flags.read_bytes())
    content[0] ^= 1 << 5
    flags.write_bytes(content)
    with pytest.warns(DamageWarning, match="1 point of 200 damaged"):
        collection = filled.open("c")
    with closing(collection):
        (lost,) = collection.damage.vectors
        assert collection.vectors(ids(200)).keys() == set(ids(200)) - {lost}
        collection.upsert([lost], VECTORS[:1], [{"uri": "again"}])
        assert collection.verify().none


def crash(_: str) -> None:
    os.kill(os.getpid(), signal.SIGBUS)


def test_a_collection_that_would_end_the_process_is_an_error(filled: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch):
    """It is opened in a worker process first, if whoever changed it was stopped, or the disk is nearly full."""
    monkeypatch.setattr("cbir.collection.embedded.probe._open", crash)
    filled.open("c").close()
    usage = shutil.disk_usage(filled.folder)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
        with pytest.raises(CollectionError, match=r"'c': it cannot be opened, .*SIGBUS.*only 1 MB are free.*free some"):
            filled.open("c")
    (state,) = (filled.folder / "c").rglob("cbir-state.json")
    state.write_text(state.read_text().replace("true", "false", 1))
    with pytest.raises(CollectionError, match=r"'c': it cannot be opened, .*SIGBUS.*--retrain"):
        filled.open("c")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(CollectionError, match=r"'c' has to be mended, and there is no room for that: only 1 MB"):
        filled.open("c")


def test_an_opening_that_takes_all_memory_is_an_error(filled: EmbeddedEngine):
    """Such as of a damaged file, in which Edge reads how much it is to allocate."""
    (file,) = (filled.folder / "c").rglob("mutable_id_tracker.mappings")
    generator = np.random.default_rng(0)
    for _ in range(5):
        file.write_bytes(generator.bytes(file.stat().st_size))
        with pytest.raises(CollectionError, match="--retrain"):
            filled.open("c")


def test_what_a_killed_index_build_left_in_a_shard_is_removed(filled: EmbeddedEngine):
    (shard,) = (filled.folder / "c").glob("shard-*")
    left = shard / "temp_segments" / "segment_builder_x"
    half = next(shard.glob("segments/*/")) / ".atomicwriteXYZ"
    half.write_bytes(b"{")
    left.mkdir(parents=True)
    (left / "vectors.dat").write_bytes(b"x" * 1000)
    with closing(filled.open("c")) as collection:
        assert not left.exists()
        assert not half.exists()
        collection.build_index()
        assert collection.info().indexed == 200
        with closing(filled.open("c")):
            assert collection.count() == 200
    assert not list(filled.folder.glob("c/shard-*/temp_segments/*"))


def test_damage_anywhere_is_an_error_or_said_or_changes_nothing(filled: EmbeddedEngine, tmp_path: Path):
    """Files of a shard are flipped, zeroed and cut off at random; each collection is opened and checked."""
    chosen = random.Random(0)
    query = np.full(4, 0.5, np.float32)

    def answers(collection: Collection) -> list[object]:
        hits = [collection.search(query, 200, exact=True), collection.search(query, 200, where={"label": [2]})]
        return [[(hit.id, hit.distance, hit.payload) for hit in found] for found in hits]

    with closing(filled.open("c")) as collection:
        right = answers(collection)
    ends = []
    for number in range(12):
        engine = EmbeddedEngine(tmp_path / str(number), timeout=0)
        shutil.copytree(filled.folder, engine.folder)
        files = [path for path in engine.folder.rglob("shard-*/**/*") if path.is_file() and path.stat().st_size]
        damaged(chosen.choice(sorted(files)), chosen)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                with closing(engine.open("c")) as collection:
                    if collection.verify().none and not said:
                        assert answers(collection) == right
                        ends.append("right")
                    else:
                        ends.append("said")
            except CollectionError as error:
                assert "'c'" in str(error)  # noqa: PT017
                ends.append("error")
        shutil.rmtree(engine.folder)
    assert {"right", "error"} <= set(ends)


def damaged(path: Path, chosen: random.Random) -> None:
    """Damage a file, somewhere in the part of it that is used."""
    content = bytearray(path.read_bytes())
    used = len(content.rstrip(b"\0")) or 1
    start = chosen.randrange(used)
    match chosen.randrange(3):
        case 0:
            content[start] ^= 1 << chosen.randrange(8)
        case 1:
            content[start : start + 64] = bytes(len(content[start : start + 64]))
        case 2:
            del content[start:]
    path.write_bytes(content)


_BOUNDED = """
import resource, sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
import numpy as np
from cbir.collection.archive import write_archive
from cbir.collection.embedded.engine import EmbeddedEngine

with closing(EmbeddedEngine(Path(sys.argv[1])).open("c")) as collection:
    query = np.zeros(512, np.float32)
    collection.search(query, 10)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]), resource.RLIM_INFINITY))
    assert collection.verify().none
    write_archive(collection, Path(sys.argv[1], "archive.zip"))
    assert len(collection.search(query, 10, exact=True)) == 10
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and limits memory")
def test_a_check_and_an_archive_take_little_memory(embedded: EmbeddedEngine):
    """All points at once would take 150 MB and more: 49 MB of vectors, as Qdrant hands them out and as arrays."""
    with closing(embedded.create("c", replace(METADATA, dimension=512))) as collection:
        vectors = np.random.default_rng(0).random((2_000, 512), np.float32)
        for start in range(0, 24_000, 2_000):
            collection.upsert(ids(24_000)[start : start + 2_000], vectors, [{}] * 2_000)
    command = [sys.executable, "-c", _BOUNDED, str(embedded.folder), str(90 << 20)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "done\n", done.stderr[-1000:]
