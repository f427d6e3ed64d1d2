"""Archives that claim too much, or whose parts contradict each other: refused before they take memory or disk."""

import io
import itertools
import json
import os
import tracemalloc
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.collection.archive import attach
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionError
from cbir.collection.unpack import archive_metadata, extract_attached
from cbir.core.errors import CbirError
from tests.collection.sample import METADATA, fill, ids

POINTS = 3


@pytest.fixture
def engine(tmp_path: Path) -> EmbeddedEngine:
    return EmbeddedEngine(tmp_path / "collections", timeout=0)


def members() -> dict[str, bytes]:
    """The members of a good archive of three points."""
    vectors = io.BytesIO()
    np.save(vectors, np.arange(4 * POINTS, dtype=np.float32).reshape(POINTS, 4))
    card = {"format": 1, "points": POINTS, "metadata": METADATA.to_json()}
    return {
        "pages/000000.npy": vectors.getvalue(),
        "pages/000000.jsonl": "\n".join(json.dumps([i, {"uri": i}]) for i in ids(POINTS)).encode(),
        "collection.json": json.dumps(card).encode(),
    }


def written(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, each in content.items():
            archive.writestr(name, each)
    return path


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def header(shape: tuple[int, ...]) -> bytes:
    """A file of vectors of which there is only the header."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return content.getvalue()


LINES = members()["pages/000000.jsonl"].split(b"\n")


def last(value: str) -> bytes:
    """A line with a payload of one value."""
    return f'["{ids(POINTS)[-1]}", {{"a": {value}}}]'.encode()


CARD = json.loads(members()["collection.json"])


def card(**wrong: Any) -> bytes:
    return json.dumps({**CARD, **wrong}).encode()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pages/000000.npy": header((10**9, 4))}, "not as large as it says"),
        ({"pages/000000.npy": header((10**30, 4))}, "not as large as it says"),
        ({"pages/000000.npy": npy(np.zeros((4, 4), np.float32))}, "it holds 4 points instead of 3"),
        ({"pages/000000.npy": npy(np.zeros((3, 5), np.float32))}, "float32 of 4 values each"),
        ({"pages/000000.npy": npy(np.zeros((3, 4)))}, "float32 of 4 values each"),
        ({"pages/000000.npy": npy(np.full((3, 4), np.nan, np.float32))}, "NaN"),
        ({"pages/000000.npy": npy(np.array([{}] * 3, object))}, "float32 of 4 values each"),
        ({"pages/000000.npy": b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 0x2000}, "no header"),
        ({"pages/000000.npy": b""}, "no header"),
        ({"pages/000000.jsonl": b"\n".join(LINES[:2])}, "1 lines too few"),
        ({"pages/000000.jsonl": b"\n".join([*LINES, LINES[0]])}, "lines too many"),
        ({"pages/000000.jsonl": b"\n".join([LINES[0]] * 3)}, "it holds 1 points instead of 3"),
        ({"pages/000000.jsonl": b"\n".join([*LINES[:2], b"[" * 100_000])}, "a line is not an id and a payload"),
        ({"pages/000000.jsonl": b"\n".join([*LINES[:2], b"5"])}, "a line is not an id and a payload"),
        ({"pages/000000.jsonl": b"\n".join([*LINES[:2], b'[5, {"a": 1}]'])}, "an id is a number instead of a text"),
        ({"pages/000000.jsonl": b"\n".join([*LINES[:2], b'["x", 3]'])}, "a payload is a number instead of an object"),
        ({"pages/000000.jsonl": b"\n".join([*LINES[:2], b'["x", {"a": NaN}]'])}, "NaN in a payload"),
        ({"pages/000000.jsonl": b"\n".join([*LINES[:2], b'["x", {}]'])}, "'x' cannot be a point's id"),
        ({"pages/000000.jsonl": b"\n".join([*LINES[:2], last('"\\ud800"')])}, "text that is not Unicode"),
        ({"pages/000000.jsonl": b"\n".join([*LINES[:2], last("1" * 400)])}, "a number that is too large"),
        ({"pages/000000.jsonl": b"\n".join([*LINES[:2], last("[" * 100 + "]" * 100)])}, "nested more than 30 levels"),
        ({"collection.json": card(points=4)}, "it holds 3 points instead of 4"),
        ({"collection.json": card(points="3")}, "points is a text instead of a whole number"),
        ({"collection.json": card(points=None)}, "points is null"),
        ({"collection.json": card(format="1")}, "format is a text"),
        ({"collection.json": card(metadata=[])}, "it is a list instead of an object"),
        ({"collection.json": card(metadata={**CARD["metadata"], "updated": 5})}, "updated is a number"),
        ({"collection.json": card(metadata={**CARD["metadata"], "dimension": 10**12})}, "dimension is not 1 to 65536"),
        ({"collection.json": b"[" * 100_000}, "nested too deeply"),
        ({"attached/..": b"x"}, "not a name"),
        ({"attached/a:b": b"x"}, "not a name"),
    ],
    ids=itertools.count(),
)
def test_parts_that_contradict_each_other_are_refused(
    engine: EmbeddedEngine, tmp_path: Path, wrong: dict[str, bytes], said: str
):
    archive = written(tmp_path / "bad.zip", {**members(), **wrong})
    with pytest.raises(CollectionError, match=rf"bad\.zip .*damaged.*({said})"):
        engine.restore(archive, "new")
    assert not (engine.folder / "new").exists()


def test_the_archive_that_they_were_made_of_is_good(engine: EmbeddedEngine, tmp_path: Path):
    engine.restore(written(tmp_path / "good.zip", members()), "new")
    with closing(engine.open("new")) as opened:
        assert opened.count() == POINTS


def test_two_members_of_one_name_and_what_no_cbir_packs_are_refused(engine: EmbeddedEngine, tmp_path: Path):
    twice = written(tmp_path / "twice.zip", members())
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(twice, "a") as archive,
    ):
        archive.writestr("pages/000000.npy", members()["pages/000000.npy"])
    with pytest.raises(CollectionError, match=r"twice\.zip .*two of its files have the same name"):
        engine.restore(twice, "new")
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w", zipfile.ZIP_LZMA) as archive:
        for name, each in members().items():
            archive.writestr(name, each)
    with pytest.raises(CollectionError, match=r"other\.zip .*packed in another way"):
        engine.restore(other, "new")


def test_a_bomb_is_refused_by_what_it_says_and_unpacked_nowhere(
    engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cbir.collection.unpack._LARGE", 10_000_000)
    bomb = written(tmp_path / "bomb.zip", members())
    block = bytes(1 << 20)
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("attached/encoder.onnx", "w") as big:
        for _ in range(20):
            big.write(block)
    assert bomb.stat().st_size < 30_000
    (tmp_path / "model").mkdir()
    for use in (
        lambda: engine.restore(bomb, "new"),
        lambda: archive_metadata(bomb),
        lambda: extract_attached(bomb, tmp_path / "model"),
    ):
        with pytest.raises(CollectionError, match=r"bomb\.zip .*would unpack to 21 MB"):
            use()
    assert list((tmp_path / "model").iterdir()) == []


def test_what_does_not_fit_the_disk_is_not_begun(
    engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = written(tmp_path / "good.zip", {**members(), "attached/encoder.onnx": os.urandom(1000)})
    (tmp_path / "model").mkdir()
    monkeypatch.setattr("cbir.core.disk.free_bytes", lambda _: 500)
    with pytest.raises(CbirError, match=r"100 MB are needed at .*collections, and 0 MB are free; free some space"):
        engine.restore(archive, "new")
    with pytest.raises(CbirError, match=r"are needed at .*model, and"):
        extract_attached(archive, tmp_path / "model")
    assert not (engine.folder / "new").exists()
    assert list((tmp_path / "model").iterdir()) == []


def test_a_large_payload_is_restored_and_a_larger_one_refused(
    engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with closing(engine.create("in", METADATA)) as collection:
        fill(collection, np.ones((3, 4), np.float32))
        collection.replace_payloads(ids(3)[:1], [{"places": ["x" * 100] * 300}])
        before = list(collection.scroll())
    engine.snapshot("in", tmp_path / "in.zip")
    monkeypatch.setattr("cbir.collection.unpack._BATCH_BYTES", 50)
    engine.restore(tmp_path / "in.zip", "out")
    with closing(engine.open("out")) as collection:
        assert [page.payloads for page in collection.scroll()] == [page.payloads for page in before]
    monkeypatch.setattr("cbir.collection.unpack._LINE_BYTES", 20_000)
    with pytest.raises(CollectionError, match=r"in\.zip .*a payload is larger than"):
        engine.restore(tmp_path / "in.zip", "again")


# Both ends of what a zip can date, and a clock that was never set.
@pytest.mark.parametrize("moment", [0, 1, 315_532_799, 4_354_819_200, 9_999_999_999])
def test_files_of_any_time_can_be_attached(tmp_path: Path, moment: int):
    archive = written(tmp_path / "a.zip", members())
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "encoder.onnx").write_bytes(b"weights")
    os.utime(tmp_path / "model" / "encoder.onnx", (moment, moment))
    attach(archive, tmp_path / "model")
    (tmp_path / "out").mkdir()
    assert extract_attached(archive, tmp_path / "out")
    assert (tmp_path / "out" / "encoder.onnx").read_bytes() == b"weights"


def test_a_snapshot_does_not_depend_on_the_clock(
    engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.ones((3, 4), np.float32))
    monkeypatch.setattr("time.time", lambda: 0.0)
    engine.snapshot("c", tmp_path / "0.zip")
    monkeypatch.setattr("time.time", lambda: 1.5e9)
    engine.snapshot("c", tmp_path / "1.zip")
    assert (tmp_path / "0.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()


@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_one_byte_that_is_wrong_anywhere_ends_in_an_error_or_is_none(tmp_path: Path, place: int, value: int):
    content = bytearray(written(tmp_path / "good.zip", members()).read_bytes())
    content[place % len(content)] = value
    (tmp_path / "one.zip").write_bytes(content)
    try:
        metadata = archive_metadata(tmp_path / "one.zip")
    except CollectionError as error:
        assert "one.zip" in str(error)  # noqa: PT017
    else:
        assert metadata == METADATA


def test_memory_does_not_grow_with_what_a_page_claims(
    engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One page of 10 MB of vectors, where half a megabyte is read at once."""
    monkeypatch.setattr("cbir.collection.archive.PAGE_BYTES", 500_000)
    points, dimension = 2500, 1000
    archive = written(
        tmp_path / "large.zip",
        {
            "pages/000000.npy": header((points, dimension)) + bytes(4 * points * dimension),
            "pages/000000.jsonl": "\n".join(json.dumps([i, {"sha256": i * 2}]) for i in ids(points)).encode(),
            "collection.json": card(points=points, metadata={**METADATA.to_json(), "dimension": dimension}),
        },
    )
    tracemalloc.start()
    try:
        engine.restore(archive, "large")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 6_000_000
    with closing(engine.open("large")) as opened:
        assert opened.count() == points
