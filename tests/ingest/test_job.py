import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.model.bundle import read_bundle
from tests.conftest import picture


def run_cbir(*arguments: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; `limit` is the largest file it may write, in bytes."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "cbir", *arguments], capture_output=True, text=True, preexec_fn=limited, timeout=120
    )


def test_ingesting_twice_changes_nothing(home: Path, pictures: Path, bundle: Path):
    first = cbir.ingest(pictures, model=bundle)
    assert (first.points, first.ingested, first.unchanged, first.trained) == (6, 6, 0, False)
    again = cbir.ingest(pictures)
    assert (again.points, again.ingested, again.unchanged, again.trained) == (6, 0, 6, False)
    assert again.model.fingerprint == read_bundle(bundle).fingerprint


def test_only_what_is_new_or_changed_is_encoded(home: Path, pictures: Path, bundle: Path):
    cbir.ingest(pictures, model=bundle)
    picture(99).save(pictures / "b" / "new.png")
    picture(98).save(pictures / "b" / "0.png")
    os.utime(pictures / "b" / "0.png", (1, 1))
    report = cbir.ingest(pictures)
    assert (report.points, report.ingested, report.unchanged) == (7, 2, 5)
    with cbir.open("pictures") as searcher:
        for name in ("new.png", "0.png"):
            best = searcher.search(pictures / "b" / name, 1)[0]
            assert best.uri == f"b/{name}"
            assert best.distance == pytest.approx(0, abs=1e-3)


def test_bad_files_are_skipped_and_reported(home: Path, pictures: Path, bundle: Path):
    (pictures / "b" / "text.png").write_text("no picture")
    (pictures / "b" / "empty.jpg").touch()
    (pictures / "b" / "gone.png").symlink_to(pictures / "nowhere.png")
    report = cbir.ingest(pictures, model=bundle)
    assert (report.points, report.ingested) == (6, 6)
    assert sorted(Path(uri).name for uri, _ in report.unreadable) == ["empty.jpg", "gone.png", "text.png"]
    assert all(str(pictures / uri) in reason for uri, reason in report.unreadable)
    assert report.file is not None
    assert [json.loads(line)["what"] for line in report.file.read_text().splitlines()] == ["skipped"] * 3
    again = cbir.ingest(pictures)
    assert (again.points, again.unchanged, len(again.unreadable)) == (6, 6, 3)


def test_a_constant_picture_is_stored_like_any_other(home: Path, pictures: Path, bundle: Path):
    Image.new("L", (5, 9), 77).save(pictures / "b" / "plain.png")
    assert cbir.ingest(pictures, model=bundle).points == 7


def test_payloads_hold_what_other_tools_need(home: Path, pictures: Path, bundle: Path):
    cbir.ingest(pictures, model=bundle)
    path = pictures / "münchen käse" / "1.png"
    with cbir.open("pictures") as searcher:
        hit = searcher.search(path, 1)[0]
    assert hit.payload.pop("ingested_at").endswith("Z")
    assert hit.payload == {
        "label": "münchen käse",
        "uri": "münchen käse/1.png",
        "source": "pictures",
        "folder": "münchen käse",
        "name": "1.png",
        "width": 28,
        "height": 28,
        "format": "PNG",
        "bytes": path.stat().st_size,
        "modified": path.stat().st_mtime_ns,
        "inode": path.stat().st_ino,
        "changed": path.stat().st_ctime_ns,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "border_brightness": 0.0,
    }


def test_limit_takes_a_fair_sample(home: Path, pictures: Path, bundle: Path):
    assert cbir.ingest(pictures, model=bundle, limit=4).points == 4
    with cbir.open("pictures") as searcher:
        assert searcher.collection.count(where={"label": ["b"]}) == 2


def test_a_source_of_one_picture_is_enough(home: Path, tmp_path: Path):
    (tmp_path / "one").mkdir()
    picture(3).save(tmp_path / "one" / "only.png")
    report = cbir.ingest(tmp_path / "one", options={"epochs": 1})
    assert (report.points, report.trained) == (1, True)
    with cbir.open() as searcher:
        assert [Path(hit.uri).name for hit in searcher.search(tmp_path / "one" / "only.png", 10)] == ["only.png"]


@pytest.mark.parametrize("given", [True, False])
def test_a_source_without_a_readable_picture_is_refused(home: Path, tmp_path: Path, bundle: Path, given: bool):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.png").write_text("no picture")
    with pytest.raises(cbir.CbirError, match=r"the only picture of .*bad cannot be read"):
        cbir.ingest(tmp_path / "bad", model=bundle if given else None)
    assert cbir.overview().collections == []


def test_a_folder_does_not_slip_into_a_collection_of_the_same_name(home: Path, tmp_path: Path, bundle: Path):
    for place in ("one", "two"):
        (tmp_path / place / "cats").mkdir(parents=True)
        picture(len(place) + ord(place[0])).save(tmp_path / place / "cats" / "a.png")
    cbir.ingest(tmp_path / "one" / "cats", model=bundle)
    with pytest.raises(cbir.CbirError, match=r"'cats' holds .*one/cats\..*--collection"):
        cbir.ingest(tmp_path / "two" / "cats")
    assert cbir.ingest(tmp_path / "two" / "cats", collection="cats").points == 2
    with pytest.raises(cbir.CbirError, match="would drop"):
        cbir.ingest(tmp_path / "two" / "cats", collection="cats", retrain=True)
    assert cbir.ingest(tmp_path / "one" / "cats").unchanged == 1


def test_a_searcher_outlived_by_its_collection_is_refused(home: Path, pictures: Path, bundle: Path):
    cbir.ingest(pictures, model=bundle)
    with cbir.open("pictures") as searcher:
        cbir.ingest(pictures, retrain=True, encoder="pca")
        with pytest.raises(cbir.CbirError, match="was filled by encoder"):
            searcher.search(picture())
    # The failed attempt holds nothing.
    EmbeddedEngine(home / "collections", timeout=0).open("pictures").close()


def test_retrain_replaces_model_and_points(home: Path, pictures: Path, bundle: Path):
    first = cbir.ingest(pictures, model=bundle)
    again = cbir.ingest(pictures, retrain=True, options={"epochs": 1, "seed": 7})
    assert again.trained
    assert again.model.fingerprint != first.model.fingerprint
    assert (again.points, again.ingested) == (6, 6)
    with cbir.open("pictures") as searcher:
        assert searcher.bundle.fingerprint == again.model.fingerprint


def interrupt_at(stage: str, done: int) -> Callable[..., None]:
    def progress(current: str, so_far: int, total: int | None, note: str = "") -> None:
        if current == stage and so_far >= done:
            raise KeyboardInterrupt

    return progress


def test_a_stopped_ingest_keeps_what_it_stored_and_goes_on(home: Path, bundle: Path):
    with pytest.raises(KeyboardInterrupt):
        cbir.ingest("digits", model=bundle, progress=interrupt_at("encode", 500))
    with cbir.open("digits") as searcher:
        stored = searcher.info().points
        assert 500 <= stored < 1500
        assert len(searcher.search("digits:queries/0", 5)) == 5
        assert searcher.metadata.background is not None
    report = cbir.ingest("digits")
    assert (report.points, report.ingested, report.unchanged) == (1500, 1500 - stored, stored)


def test_a_stopped_retrain_leaves_the_old_collection_and_is_not_trained_twice(home: Path, pictures: Path, bundle: Path):
    first = cbir.ingest(pictures, model=bundle)
    with pytest.raises(KeyboardInterrupt):
        cbir.ingest(pictures, retrain=True, encoder="pca", progress=interrupt_at("encode", 1))
    with cbir.open("pictures") as searcher:
        assert searcher.info().points == 6
        assert searcher.bundle.fingerprint == first.model.fingerprint
    again = cbir.ingest(pictures, retrain=True, encoder="pca")
    assert (again.trained, again.model.name, again.ingested) == (False, "pictures-2", 6)
    assert cbir.ingest(pictures, retrain=True, encoder="pca").trained


@pytest.mark.parametrize("damage", ["metadata", "shard"])
def test_a_damaged_collection_is_built_anew_and_does_not_stand_in_the_way(
    home: Path, pictures: Path, bundle: Path, damage: str
):
    cbir.ingest(pictures, model=bundle)
    cbir.ingest(pictures / "b", model=bundle)
    folder = home / "collections" / "b"
    if damage == "metadata":
        (folder / "collection.json").write_text("nothing")
    else:
        shutil.rmtree(next(folder.glob("shard-*")))
    with pytest.raises(cbir.CbirError, match="--retrain"):
        cbir.ingest(pictures / "b")
    assert [bool(c.problem) for c in cbir.overview().collections] == [True, False]
    if damage == "metadata":
        assert cbir.overview().default == "pictures"
    assert cbir.ingest(pictures / "b", retrain=True, encoder="pca").points == 3


def test_ctrl_c_in_training_leaves_no_half_model_and_training_goes_on(home: Path):
    arguments = ["ingest", "digits", "--encoder", "autoencoder:epochs=4000", "--limit", "64"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cbir", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        checkpoint = home / "models" / ".digits.training.npz"
        deadline = time.monotonic() + 90
        while not checkpoint.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.strip().splitlines()[-1].startswith("cbir: stopped")
    assert "Traceback" not in errors
    assert [p.name for p in (home / "models").iterdir()] == [checkpoint.name]
    with np.load(checkpoint) as state:
        assert len(state["loss"]) >= 1
    assert cbir.overview().collections == []


@pytest.mark.parametrize("limit", [1_000, 200_000])
def test_a_full_disk_is_said_in_one_line_and_nothing_is_half_written(
    home: Path, pictures: Path, bundle: Path, limit: int
):
    """Files may not grow beyond the limit: the system refuses as it does on a full disk."""
    failed = run_cbir("ingest", str(pictures), "--model", str(bundle), limit=limit)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "File too large" in failed.stderr.strip().splitlines()[-1]
    assert cbir.overview().collections == []
    for bundles in cbir.overview().models:
        bundles.encoder()
    assert cbir.ingest(pictures, model=bundle).points == 6


def test_a_place_that_cannot_be_written_is_said_in_one_line(
    tmp_path: Path, pictures: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CBIR_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(cbir.CbirError, match="cannot use"):
        cbir.ingest(pictures, model=bundle)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"options": {"epochs": 0}},
        {"options": {"batch_size": 0}},
        {"options": {"noise": -1.0}},
        {"options": {"noise": float("nan")}},
        {"options": {"seed": -1}},
        {"retrain": True, "model": "m"},
        {"model": "nothing.txt"},
        {"model": "missing.keras"},
        {"collection": "a/b"},
        {"collection": "../up"},
        {"collection": ""},
    ],
)
def test_arguments_that_make_no_sense_are_refused(home: Path, bundle: Path, wrong: dict[str, object]):
    arguments = {"model": bundle, **wrong} if "collection" in wrong else wrong
    with pytest.raises(cbir.CbirError):
        cbir.ingest("digits", **arguments)  # type: ignore[arg-type]
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_stopping_at_the_index_keeps_the_new_collection(home: Path, pictures: Path, bundle: Path):
    first = cbir.ingest(pictures, model=bundle)
    with pytest.raises(KeyboardInterrupt):
        cbir.ingest(pictures, retrain=True, encoder="pca", index=True, progress=interrupt_at("index", 0))
    with cbir.open("pictures") as searcher:
        assert searcher.bundle.fingerprint != first.model.fingerprint
        assert searcher.info().points == 6


def test_colour_pictures_are_seen_in_colour_at_the_size_asked_for(home: Path, tmp_path: Path):
    (tmp_path / "colours").mkdir()
    for seed in range(3):
        colours = Image.merge("RGB", [picture(seed + channel) for channel in range(3)])
        colours.save(tmp_path / "colours" / f"{seed}.png")
    assert cbir.ingest(tmp_path / "colours", encoder="pixels").model.preprocessing.shape == (32, 32, 3)
    larger = cbir.ingest(tmp_path / "colours", encoder="pixels", size=48, collection="larger")
    assert larger.model.dimension == 48 * 48 * 3


def test_what_a_newer_cbir_wrote_survives_this_one(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    file = home / "collections" / "pictures" / "collection.json"
    written = file.read_text()
    newer = json.dumps({**json.loads(written), "format": 4, "sources": {"another": "shape"}})
    file.write_text(newer)
    for again in ({}, {"retrain": True}, {"encoder": "pca"}):
        with pytest.raises(
            cbir.CbirError, match=r"'pictures' was written by a newer cbir \(format 4; .*: upgrade cbir$"
        ):
            cbir.ingest(pictures, **again)  # type: ignore[arg-type]
    assert file.read_text() == newer
    file.write_text(written)
    with cbir.open("pictures") as searcher:
        assert len(searcher.search(next(pictures.rglob("*.png")), 3)) == 3
