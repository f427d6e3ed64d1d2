"""Archives: what goes in comes out, and what is damaged is refused and leaves nothing."""

import json
import shutil
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cbir.collection.archive import attach
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionError, NewerFormatError
from cbir.collection.unpack import archive_metadata, extract_attached
from tests.collection.sample import METADATA, fill, ids

PAYLOADS = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=9), max_size=3
)


@pytest.fixture
def engine(tmp_path: Path) -> EmbeddedEngine:
    return EmbeddedEngine(tmp_path / "collections", timeout=0)


@pytest.fixture(scope="module")
def _archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    engine = EmbeddedEngine(folder / "collections", timeout=0)
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.random.default_rng(0).random((5000, 4), np.float32), [1, "münchen\nkäse"] * 2500)
    engine.snapshot("c", folder / "c.zip")
    return folder / "c.zip"


@pytest.fixture
def archive(_archive: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(_archive, tmp_path))


# Few examples of many points: each takes a second for Qdrant's files.
@given(
    vectors=arrays.arrays(
        np.float32,
        st.tuples(st.just(40), st.just(4)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    payloads=st.lists(PAYLOADS, min_size=40, max_size=40),
)
@example(vectors=np.empty((0, 4), np.float32), payloads=[])
@settings(
    max_examples=4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large, HealthCheck.too_slow],
)
def test_a_restored_collection_equals_the_archived_one(
    engine: EmbeddedEngine, tmp_path: Path, vectors: np.ndarray, payloads: list[dict]
):
    with closing(engine.create("in", METADATA)) as collection:
        if len(vectors):
            collection.upsert(ids(len(vectors)), vectors, payloads)
        before = list(collection.scroll())
    engine.snapshot("in", tmp_path / "in.zip")
    engine.restore(tmp_path / "in.zip", "out")
    with closing(engine.open("out")) as collection:
        after = list(collection.scroll())
        assert collection.metadata == METADATA
    engine.delete("in")
    engine.delete("out")
    assert [(p.ids, p.payloads) for p in after] == [(p.ids, p.payloads) for p in before]
    assert all(np.array_equal(a.vectors, b.vectors) for a, b in zip(after, before, strict=True))


def test_anything_that_reads_numpy_and_json_can_read_it(archive: Path):
    with zipfile.ZipFile(archive) as opened, opened.open("pages/000000.npy") as page:
        assert np.load(page).shape == (4096, 4)
        identity, payload = json.loads(opened.read("pages/000001.jsonl").decode().split("\n")[-1])
    assert identity == max(ids(5000))
    assert payload.keys() == {"uri", "label"}


def test_restore_does_not_overwrite_a_collection(engine: EmbeddedEngine, archive: Path):
    engine.create("c", METADATA).close()
    with pytest.raises(CollectionError, match="collection 'c' already exists; name another with --collection"):
        engine.restore(archive, "c")


@pytest.mark.parametrize("damage", ["cut", "flipped", "page missing", "not ours", "model elsewhere", "no zip"])
def test_damage_is_refused_and_leaves_nothing(engine: EmbeddedEngine, archive: Path, damage: str):
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        archive.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 3] ^= 0xFF
        archive.write_bytes(content)
    elif damage == "no zip":
        archive.write_text("hello")
    else:
        rewrite(archive, damage)
    with pytest.raises(CollectionError, match=r"c\.zip"):
        engine.restore(archive, "new")
    assert engine.names() == []
    assert not (engine.folder / "new").exists()


def test_a_newer_archive_is_refused(engine: EmbeddedEngine, archive: Path):
    rewrite(archive, "newer")
    with pytest.raises(
        NewerFormatError, match=r"c\.zip was written by a newer cbir \(archive format 2; .*: upgrade cbir"
    ):
        engine.restore(archive, "new")
    rewrite(archive, "newer metadata")
    with pytest.raises(NewerFormatError, match=r"c\.zip was written by a newer cbir \(format 9; .*: upgrade cbir"):
        engine.restore(archive, "new")
    assert not (engine.folder / "new").exists()


def rewrite(archive: Path, damage: str) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    if damage == "page missing":
        del members["pages/000001.npy"]
    elif damage == "newer":
        members["collection.json"] = json.dumps({**json.loads(members["collection.json"]), "format": 2}).encode()
    elif damage == "newer metadata":
        stored = json.loads(members["collection.json"])
        members["collection.json"] = json.dumps({**stored, "format": 1, "metadata": {"format": 9}}).encode()
    elif damage == "model elsewhere":
        stored = json.loads(members["collection.json"])
        stored["metadata"]["model"] = "../../elsewhere"
        members["collection.json"] = json.dumps(stored).encode()
    else:
        members = {"hello.txt": b"hello"}
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)


def test_an_attached_folder_is_extracted_into_the_given_folder_only(archive: Path, tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.bin").write_bytes(b"a")
    attach(archive, tmp_path / "model")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("attached/../../evil.bin", b"evil")
    (tmp_path / "out").mkdir()
    assert extract_attached(archive, tmp_path / "out")
    assert archive_metadata(archive) == METADATA
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.bin", "evil.bin"}
    assert not (tmp_path.parent / "evil.bin").exists()
