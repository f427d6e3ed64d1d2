"""A source's features as Parquet: the points that an ingest stores, in files that Spark's connector takes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
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
from cbir.core.errors import CbirError
from cbir.core.partial import alone
from cbir.ingest import feature_files
from cbir.ingest.feature_files import FeatureFiles
from cbir.model.encoder import Encoder
from tests.commands import failure, run
from tests.conftest import picture, saved_classes

pq = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
pads = pytest.importorskip("pyarrow.dataset")

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
        features.mkdir()
        assert "NaN" in failure("embed", photos, "--parquet", features)
        features.rmdir()  # which is as empty as it was
    assert "--parquet folder for the features of all" in failure("embed", photos)
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
    run("ingest", photos, "-c", "smooth", "--encoder", "pixels", "--smooth", 2)
    assert "--smooth 2" in failure("embed", photos, "-c", "smooth", "--parquet", tmp_path / "smooth")
    assert "is there already" in failure("embed", photos, "-c", "photos", "--parquet", photos)
    assert "is a file" in failure("embed", photos, "-c", "photos", "--parquet", photos / "a" / "00.jpg")


@pytest.mark.usefixtures("home")
def test_whose_features_a_folder_has(photos: Path, tmp_path: Path):
    features = tmp_path / "features"
    run("ingest", photos, "--encoder", "pixels")
    run("ingest", photos, "-c", "others", "--encoder", "pixels")
    run("embed", photos, "-c", "photos", "--parquet", features)
    before = rows(features)
    assert "for collection 'photos'" in failure("embed", photos, "-c", "others", "--parquet", features)
    with alone(features):
        assert "another process" in failure("embed", photos, "-c", "photos", "--parquet", features)
    run("ingest", photos, "-c", "photos", "--encoder", "color-histogram", "--retrain")
    assert "another encoder" in failure("embed", photos, "-c", "photos", "--parquet", features)
    mark = features / "_cbir.json"
    for text, reason in (('{"format": 2}', "newer cbir"), ("{", "cannot read")):
        mark.write_text(text)
        assert reason in failure("embed", photos, "-c", "photos", "--parquet", features)
    assert rows(features) == before


@pytest.mark.usefixtures("home")
def test_what_is_unchanged_is_kept(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    features = tmp_path / "features"
    run("ingest", photos, "--encoder", "pixels", "--limit", "5")
    run("embed", photos, "--parquet", features)
    before, files = rows(features), sorted(features.rglob("*.parquet"))
    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "encode", None)
        done = json.loads(run("embed", photos, "--parquet", features, "--json").stdout)
    assert (done["found"], done["points"], done["kept"], done["copies"], done["taken_out"]) == (27, 24, 24, 1, 0)
    assert (rows(features), sorted(features.rglob("*.parquet"))) == (before, files)

    (photos / "a" / "02.jpg").unlink()
    (photos / "a" / "04.jpg").rename(photos / "b" / "moved.jpg")
    picture(100, (40, 30)).save(photos / "a" / "06.jpg")
    os.utime(photos / "a" / "08.jpg", ns=(1, 1))
    (photos / "a" / "00.jpg").unlink()  # of which there is a copy
    picture(101, (40, 30)).save(photos / "b" / "new.jpg")
    said = run("embed", photos, "--parquet", features).stdout
    assert "19 points of an earlier run, unchanged" in said
    assert "taken out   5 points" in said
    found, uris = rows(features), [row["uri"] for row in rows(features).values()]
    assert len(uris) == len(set(uris)) == 24
    assert {"b/moved.jpg", "b/copy.jpg", "b/new.jpg", "a/06.jpg", "a/08.jpg"} < set(uris)
    assert {"a/00.jpg", "a/02.jpg", "a/04.jpg"}.isdisjoint(uris)
    unchanged = [identity for identity, row in found.items() if row == before.get(identity)]
    assert len(unchanged) == 19
    run("embed", photos, "--parquet", tmp_path / "anew")
    assert rows(tmp_path / "anew").keys() == found.keys()


@pytest.mark.usefixtures("home")
def test_what_a_source_says_of_a_picture_is_brought_up_to_date(photos: Path, tmp_path: Path):
    features, labels = tmp_path / "features", photos / "labels.csv"
    says = [f"{each.parent.name}/{each.name},one" for each in sorted(photos.rglob("[0-9]*.jpg"))]
    labels.write_text("\n".join(["file,label", *says]))
    run("ingest", photos, "--encoder", "pixels", "--labels", labels)
    run("embed", photos, "--parquet", features)
    labels.write_text("\n".join(["file,label", *says]).replace("04.jpg,one", "04.jpg,two"))
    done = json.loads(run("embed", photos, "--parquet", features, "--json").stdout)
    assert (done["points"], done["kept"], done["taken_out"]) == (24, 23, 1)
    assert Counter(row["label"] for row in rows(features).values()) == {"one": 23, "two": 1}


@pytest.mark.usefixtures("home")
def test_other_sources_stay_and_so_does_all_if_a_disk_may_not_be_mounted(photos: Path, tmp_path: Path):
    features, other = tmp_path / "features", saved_classes(tmp_path / "other", ("c",), 3)
    run("ingest", photos, other, "-c", "all", "--encoder", "pixels")
    run("embed", photos, "-c", "all", "--parquet", features)
    done = json.loads(run("embed", other, "-c", "all", "--parquet", features, "--json").stdout)
    assert (done["points"], done["kept"], sum(each["points"] for each in done["sets"])) == (3, 0, 27)
    said = run("embed", other, "-c", "all", "--parquet", features).stdout
    assert f"{features}: 27 points" in said
    assert "others      24 points" in said
    done = json.loads(run("embed", photos, other, "-c", "all", "--parquet", features, "--limit", 3, "--json").stdout)
    assert (done["points"], done["taken_out"], len(rows(features))) == (3, 0, 27)
    shutil.rmtree(photos / "a")
    (photos / "b" / "01.jpg").unlink()
    assert "may not be mounted" in failure("embed", photos, "-c", "all", "--parquet", features)
    assert len(rows(features)) == 27


#: Writes features, and kills itself in the middle of its n-th file, or behind it.
SUICIDE = """
import os, pathlib, signal, sys
import cbir
from cbir.core import atomic
from cbir.ingest import feature_files
from cbir.ingest.read import read

sys.modules["cbir.ingest.read"].BATCH = 8
feature_files._FILE, feature_files._HELD = 6_000, 12_000
left, behind = int(sys.argv[1]), sys.argv[2] == "behind"
write = feature_files.write_part

def written(path, table):
    global left
    left -= 1
    if left or behind:
        write(path, table)
    if not left:
        if not behind:
            path.parent.mkdir(exist_ok=True)
            atomic.partial_of(path).write_bytes(b"PAR1")
        os.kill(os.getpid(), signal.SIGKILL)

feature_files.write_part = written
cbir.embed(sys.argv[3], sys.argv[4], collection="photos")
"""


def test_every_picture_is_there_once_whenever_a_run_is_killed(photos: Path, home: Path, tmp_path: Path):
    features, chance = tmp_path / "features", random.Random(1)
    run("ingest", photos, "--encoder", "pixels", "--limit", "5")

    def killed(after: int) -> None:
        how = chance.choice(["within", "behind"])
        command = [sys.executable, "-c", SUICIDE, str(after), how, str(photos), str(features)]
        done = subprocess.run(command, env={**os.environ, "CBIR_HOME": str(home), "CBIR_PROCESSES": "0"})
        assert done.returncode == -signal.SIGKILL
        assert not (features / "_SUCCESS").exists()

    for _ in range(3):
        killed(chance.randint(1, 3))
    for number in range(0, 24, 5):
        file = photos / "ab"[number % 2] / f"{number:02}.jpg"
        file.rename(file.with_name(f"moved {number}.jpg"))
    kept = len(rows(features))
    killed(2)
    done = json.loads(run("embed", photos, "--parquet", features, "--json").stdout)
    assert 0 < done["kept"] < 24
    assert kept > 2
    assert (done["points"], (features / "_SUCCESS").exists()) == (24, True)
    assert not list(features.rglob(".*"))
    found = rows(features)
    run("ingest", photos)
    points = stored(home, "photos")
    assert {identity: row["uri"] for identity, row in found.items()} == {
        identity: payload["uri"] for identity, (_, payload) in points.items()
    }
    for identity, (vector, _) in points.items():
        np.testing.assert_allclose(found[identity]["_vector"], vector, atol=1e-6)


@pytest.mark.usefixtures("home")
def test_what_reads_a_folder_of_parquet_files_reads_no_other_file(photos: Path, tmp_path: Path):
    features = tmp_path / "features"
    run("ingest", photos, "--encoder", "pixels")
    done = json.loads(run("embed", photos, "--parquet", features, "--json").stdout)
    whole = pads.dataset(features).to_table(columns=["_id", "uri"])
    assert len(whole) == 24
    pandas = pytest.importorskip("pandas")
    for each in done["sets"]:
        assert len(pandas.read_parquet(features / each["folder"])) == each["points"]


def test_a_damaged_file_is_named(tmp_path: Path):
    with FeatureFiles(tmp_path, 2) as files:
        files.write([ID.format(1)], np.ones((1, 2), np.float32), [{"uri": "a"}])
    (file,) = tmp_path.rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(CbirError, match=r"part-00000\.parquet is damaged: remove it"):
        FeatureFiles(tmp_path, 2)


def test_points_wait_some_minutes_at_the_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with FeatureFiles(tmp_path, 2) as files:
        for number in range(4):
            monkeypatch.setattr(feature_files, "_SECONDS", 0 if number == 2 else 100)
            files.write([ID.format(number)], np.ones((1, 2), np.float32), [{"uri": "a"}])
            assert len(rows(tmp_path)) == (0 if number < 2 else 3)
    assert [file.name for file in sorted(tmp_path.rglob("*.parquet"))] == ["part-00000.parquet", "part-00001.parquet"]


def test_many_sets_of_fields_take_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of the sets as of the points: a picture may have one of its own."""
    monkeypatch.setattr(feature_files, "_HELD", 400_000)
    monkeypatch.setattr(feature_files, "write_part", lambda path, table: written.append((path, len(table))))
    features, written, most = np.ones((50, 4), np.float32), list[tuple[Path, int]](), list[int]()
    tracemalloc.start()
    with FeatureFiles(tmp_path, 4) as files:
        for start in range(0, 2000, 50):
            numbers = range(start, start + 50)
            payloads = [{"uri": str(n), f"field {n}": n} for n in numbers]
            files.write([ID.format(n) for n in numbers], features, payloads)
            waiting = [batch for each in files._waiting.values() for batch in each.batches]
            assert sum(batch.nbytes for batch in waiting) < files._held < 400_000
            most.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sum(points for _, points in written) == len({path for path, _ in written}) == 2000
    assert most[-1] - most[9] < 2_000_000  # each set is a digest and two numbers
    assert len(files._waiting) == 0


def test_files_of_some_sets_of_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for bound, value in {"_FILE": 8_000, "_HELD": 16_000}.items():
        monkeypatch.setattr(feature_files, bound, value)
    features = np.arange(4 * 1000, dtype=np.float32).reshape(1000, 4)
    for begin in (0, 500):  # the second one goes on where the first one ended
        with FeatureFiles(tmp_path, 4) as files:
            for start in range(begin, begin + 500, 50):
                numbers = range(start, start + 50)
                payloads = [{"uri": str(n), f"field {n % 5}": n} for n in numbers]
                files.write([ID.format(n) for n in numbers], features[start : start + 50], payloads)
    found = rows(tmp_path)
    assert len(found) == 1000
    for n in range(1000):
        row = found[ID.format(n)]
        assert (row["uri"], row[f"field {n % 5}"], row["_vector"]) == (str(n), n, features[n].tolist())
    assert [points for _, points, _ in files.sets] == [200] * 5
    assert len(list(tmp_path.rglob("*.parquet"))) > 20


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
