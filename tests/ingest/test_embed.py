"""A source's features as Parquet: the points that an ingest stores, in files that Spark's connector takes."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.collection.checksum import fields_fit, of_vectors
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionError
from cbir.collection.place import places_of
from cbir.ingest import feature_files
from cbir.ingest.feature_files import FeatureFiles
from cbir.model.encoder import Encoder
from tests.commands import failure, run
from tests.conftest import picture

pq = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")

ID = "00000000-0000-0000-0000-{:012d}"


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what the files hold, by id, as a tool would find it that knows a file's columns and no more."""
    found = [row for file in folder.rglob("part-*.parquet") for row in pq.read_table(file).to_pylist()]
    assert len({row["_id"] for row in found}) == len(found)
    return {row["_id"]: row for row in found}


def stored(home: Path, name: str) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    with closing(EmbeddedEngine(home / "collections").open(name)) as collection:
        pages = list(collection.scroll())
    return {i: (v, p) for page in pages for i, v, p in zip(page.ids, page.vectors, page.payloads, strict=True)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures, some of which have a camera or a place; one is a copy, one is damaged, and so is its copy."""
    folder = tmp_path / "photos"
    for number in range(24):
        exif = Image.Exif()
        if number % 3 == 0:
            exif[0x0110] = "Pixel 8"
        if number % 4 == 0:
            exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 2.5), 3: "E", 4: (2.0, 21.0, 0.0)})
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        picture(number, (40, 30)).convert("RGB").save(folder / "ab"[number % 2] / f"{number:02}.jpg", exif=exif)
    (folder / "b" / "copy.jpg").write_bytes((folder / "a" / "00.jpg").read_bytes())
    for name in ("bad.jpg", "bad too.jpg"):
        (folder / "a" / name).write_bytes(b"\xff\xd8\xff no picture")
    return folder


def test_what_an_ingest_stores(photos: Path, home: Path, tmp_path: Path):
    features = tmp_path / "features"
    run("ingest", photos, "--encoder", "pixels", "--limit", "5")
    done = json.loads(run("embed", photos, "--parquet", features, "--json").stdout)
    run("ingest", photos)
    written, points = rows(features), stored(home, "photos")
    assert written.keys() == points.keys()
    for identity, (vector, payload) in points.items():
        row = written[identity]
        checksum, found = row.pop("_checksum"), np.array(row.pop("_vector"), np.float32)
        assert row.pop("_id") == identity
        assert None not in row.values()
        np.testing.assert_allclose(found, vector, atol=1e-6)
        assert fields_fit(identity, row, checksum)
        assert checksum.startswith(of_vectors([identity], found[None])[0])
        assert row.keys() == payload.keys() - {"copies"}  # which the ingest after Spark notes
        assert row.pop("ingested_at")[:3] == payload.pop("ingested_at")[:3]
        payload.pop("copies", None)
        assert row == payload
    counts = {name: done[name] for name in ("found", "points", "copies", "skipped", "warned")}
    assert counts == {"found": 27, "points": 24, "copies": 1, "skipped": 2, "warned": 0}
    assert [each["points"] for each in done["sets"]] == [2, 12, 4, 6]
    assert all("bad" in each["reason"] for each in done["unreadable"])
    lines = [json.loads(line) for line in Path(done["file"]).read_text().splitlines()]
    assert [(line["what"], line["uri"]) for line in lines] == [
        ("skipped", "a/bad too.jpg"),
        ("skipped", "a/bad.jpg"),
        ("copy", "b/copy.jpg"),
    ]


def test_what_is_written_by_another_tool_is_known_to_the_next_ingest(photos: Path, home: Path, tmp_path: Path):
    """As docs/spark.md says: nothing is read again but copies, and what cannot be read."""
    run("ingest", photos, "--encoder", "pixels", "--limit", "5")
    run("embed", photos, "--parquet", tmp_path / "features")
    with closing(EmbeddedEngine(home / "collections").open("photos")) as collection:
        for identity, row in rows(tmp_path / "features").items():
            payload = {name: value for name, value in row.items() if not name.startswith("_")}
            collection.upsert([identity], np.array([row["_vector"]], np.float32), [payload])
    report = cbir.ingest(photos)
    assert (report.unchanged, report.copies, report.ingested, report.skipped) == (24, 1, 0, 2)
    copied = [payload for _, payload in stored(home, "photos").values() if "copies" in payload]
    assert [[place.uri for place in places_of(payload)] for payload in copied] == [["a/00.jpg", "b/copy.jpg"]]


@pytest.mark.usefixtures("home")
def test_nothing_is_left_of_what_fails(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    features = tmp_path / "features"
    run("ingest", photos, "--encoder", "pixels")

    def broken(self: Encoder, images: np.ndarray) -> np.ndarray:
        return np.full((len(images), self.dimension), np.nan, np.float32)

    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "encode", broken)
        assert "NaN" in failure("embed", photos, "--parquet", features)
    assert "no pictures" in failure("embed", _empty(tmp_path), "-c", "photos", "--parquet", features)
    for each in photos.rglob("*.jpg"):
        each.write_bytes(b"\xff\xd8\xff no picture")
    assert "none of the 27 pictures" in failure("embed", photos, "--parquet", features)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty", "home", "photos"]


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


@pytest.mark.usefixtures("home")
def test_what_is_refused(photos: Path, pictures: Path, tmp_path: Path):
    features = tmp_path / "features"
    assert "no collection" in failure("embed", photos, "--parquet", features)
    run("ingest", photos, "--encoder", "pixels")
    assert "--collection photos" in failure("embed", pictures, "--parquet", features)
    assert "does not exist" in failure("embed", photos, "--parquet", features / "below")
    assert "--invert" in failure("embed", photos, "--parquet", features, "--invert")
    assert "--limit" in failure("embed", photos / "a" / "00.jpg", "--limit", 3)
    assert "2 images" in failure("embed", photos / "a" / "00.jpg", photos / "a" / "02.jpg")
    run("embed", photos, "--parquet", features, "--limit", 3)
    assert len(rows(features)) == 3
    assert "is there already" in failure("embed", photos, "--parquet", features)
    run("ingest", photos, "-c", "smooth", "--encoder", "pixels", "--smooth", 2)
    assert "--smooth 2" in failure("embed", photos, "-c", "smooth", "--parquet", tmp_path / "smooth")


def test_many_sets_of_fields_take_few_files_at_once_and_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for bound, value in {"_OPEN": 2, "_GROUP": 4_000, "_HELD": 8_000}.items():
        monkeypatch.setattr(feature_files, bound, value)
    features = np.arange(4 * 1000, dtype=np.float32).reshape(1000, 4)
    held = most = 0
    with FeatureFiles(tmp_path, 4) as files:
        for start in range(0, 1000, 50):
            numbers = range(start, start + 50)
            payloads = [{"uri": str(n), f"field {n % 5}": n} for n in numbers]
            files.write([ID.format(n) for n in numbers], features[start : start + 50], payloads)
            held = sum(each.bytes for each in files._sets.values())
            most = max(most, held)
            assert len(files._open) <= 2
    assert 0 < most < 10_000
    found = rows(tmp_path)
    assert len(found) == 1000
    for n in range(1000):
        row = found[ID.format(n)]
        assert (row["uri"], row[f"field {n % 5}"], row["_vector"]) == (str(n), n, features[n].tolist())
    assert [points for _, points, _ in files.sets] == [200] * 5


def test_fields_of_any_kind(tmp_path: Path):
    kept = {
        "text": "märz",
        "whole": -(2**60),
        "part": 0.25,
        "truth": True,
        "nothing": None,
        "record": {"b": 1, "a": {"c": "d"}},
        "words": ["a", "b"],
        "records": [{"a": 1}, {"a": 2}],
        "none": [],
    }
    lost = {"rows": [[1, 2]], "mixed": [1, "a"], "gaps": ["a", None], "void": {}, "_id": 7}
    with FeatureFiles(tmp_path, 2) as files:
        files.write([ID.format(1)], np.ones((1, 2), np.float32), [{**kept, **lost}])
        with pytest.raises(CollectionError, match="NaN"):
            files.write([ID.format(2)], np.array([[1, np.nan]], np.float32), [{}])
    row = rows(tmp_path)[ID.format(1)]
    checksum = row.pop("_checksum")
    assert {name: value for name, value in row.items() if name not in ("_id", "_vector")} == kept
    assert fields_fit(ID.format(1), kept, checksum)
    assert files.left_out == dict.fromkeys(lost, 1)


def test_labels_that_are_numbers_and_names(tmp_path: Path):
    ids, labels = [ID.format(n) for n in range(4)], [7, "seven", 8, "eight"]
    with FeatureFiles(tmp_path, 1) as files:
        files.write(ids, np.ones((4, 1), np.float32), [{"label": label} for label in labels])
    found = rows(tmp_path)
    assert [found[identity]["label"] for identity in ids] == labels
