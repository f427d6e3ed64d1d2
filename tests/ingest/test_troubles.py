"""Files that vanish, change or cannot be read in mid-run, roots that are not there, and disks that are full."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.place import places_of
from cbir.core.progress import Progress
from cbir.ingest import read as reading
from tests.commands import run
from tests.conftest import picture
from tests.ingest.sources.test_archive import png, tarred
from tests.ingest.test_in_step import consistent, stored


def at(stage: str, act: Callable[[], None]) -> Progress:
    """Return a progress function that does something once, when a stage begins."""
    done: list[str] = []

    def report(now: str, *_: Any, **__: Any) -> None:
        if now == stage and not done:
            done.append(now)
            act()

    return report


@pytest.fixture
def root(home: Path, pictures: Path) -> Path:
    """A folder that is ingested already, and has new pictures since."""
    cbir.ingest(pictures, encoder="pixels")
    for number in range(4):
        picture(50 + number).save(pictures / "b" / f"new {number}.png")
    return pictures


def test_files_that_vanish_or_change_in_mid_run_are_found_by_the_next(home: Path, root: Path):
    def act() -> None:
        (root / "b" / "new 0.png").unlink()
        picture(70).save(root / "b" / "new 1.png")
        (root / "b" / "new 2.png").unlink()
        (root / "b" / "new 2.png").mkdir()
        (root / "b" / "1.png").unlink()

    report = consistent(cbir.ingest(root, progress=at("compare", act)))
    assert report.skipped >= 2
    (root / "b" / "new 2.png").rmdir()
    consistent(cbir.ingest(root, prune=True))
    consistent(cbir.ingest(root, collection="fresh", encoder="pixels"))
    assert stored(home, "pictures") == stored(home, "fresh")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_skipped_and_what_is_stored_of_it_stays(home: Path, root: Path):
    (root / "b").chmod(0)
    try:
        report = consistent(cbir.ingest(root, prune=True, force=True))
    finally:
        (root / "b").chmod(stat.S_IRWXU)
    assert (report.gone, report.pruned, report.points) == (0, 0, 6)
    assert report.skipped == 1


def test_what_is_no_file_is_never_opened(home: Path, root: Path):
    os.mkfifo(root / "b" / "pipe.png")
    report = consistent(cbir.ingest(root))
    assert report.ingested == 4


def remove(root: Path, count: int) -> None:
    for file in sorted(root.rglob("*.png"))[:count]:
        file.unlink()


def test_what_is_gone_is_counted_and_removed_when_asked(home: Path, root: Path):
    cbir.ingest(root)
    remove(root, 3)
    report = consistent(cbir.ingest(root))
    assert (report.points, report.gone, report.pruned) == (10, 3, 0)
    assert report.file is not None
    lines = [json.loads(line) for line in report.file.read_text().splitlines()]
    assert [line["what"] for line in lines if line["what"] != "left out"] == ["gone"] * 3
    report = consistent(cbir.ingest(root, prune=True))
    assert (report.points, report.gone, report.pruned) == (7, 0, 3)
    report = consistent(cbir.ingest(root, prune=True))
    assert (report.unchanged, report.gone, report.pruned, report.file) == (7, 0, 0, None)


def test_half_of_a_root_is_not_taken_for_gone(home: Path, pictures: Path):
    for number in range(20):
        picture(100 + number).save(pictures / "b" / f"more {number}.png")
    cbir.ingest(pictures, encoder="pixels")
    shutil.move(pictures / "b", pictures.parent / "unmounted")
    with pytest.warns(cbir.CbirWarning, match=r"23 of 26 stored pictures are gone.*--force"):
        report = consistent(cbir.ingest(pictures, prune=True))
    assert (report.points, report.gone, report.pruned) == (26, 23, 0)
    shutil.move(pictures.parent / "unmounted", pictures / "b")
    assert consistent(cbir.ingest(pictures, prune=True)).unchanged == 26
    shutil.rmtree(pictures / "b")
    assert consistent(cbir.ingest(pictures, prune=True, force=True)).pruned == 23
    with pytest.raises(cbir.CbirError, match="goes with --prune"):
        cbir.ingest(pictures, force=True)


def test_an_empty_root_prunes_nothing_without_force(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    for folder in list(pictures.iterdir()):
        shutil.rmtree(folder)
    with pytest.warns(cbir.CbirWarning, match="no pictures at all.*--force"):
        report = consistent(cbir.ingest(pictures, prune=True))
    assert (report.points, report.gone) == (6, 6)
    report = consistent(cbir.ingest(pictures, prune=True, force=True))
    assert (report.points, report.pruned) == (0, 6)


def test_a_full_disk_in_mid_run_loses_nothing(home: Path, root: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(cbir.CbirError, match="No space left"):
        patch.setattr(EmbeddedCollection, "upsert", full)
        cbir.ingest(root)
    consistent(cbir.ingest(root))
    consistent(cbir.ingest(root, collection="fresh", encoder="pixels"))
    assert stored(home, "pictures") == stored(home, "fresh")


def test_copies_are_encoded_once_and_take_their_turn(home: Path, pictures: Path):
    (pictures / "a").mkdir()
    shutil.copy(pictures / "b" / "1.png", pictures / "a" / "the same.png")
    report = consistent(cbir.ingest(pictures, encoder="pixels"))
    assert (report.points, report.ingested, report.copies) == (6, 6, 1)
    (pictures / "a" / "the same.png").unlink()
    assert consistent(cbir.ingest(pictures, prune=True)).pruned == 1
    with closing(EmbeddedEngine(home / "collections").open("pictures")) as collection:
        payloads = [payload for page in collection.scroll() for payload in page.payloads]
    (payload,) = [payload for payload in payloads if payload["uri"] == "b/1.png"]
    assert payload["label"] == "b"
    assert [place.uri for place in places_of(payload)] == ["b/1.png"]


def test_copies_of_another_class_are_counted_and_told(home: Path, tmp_path: Path):
    for name, shade in (("cat/1", 0), ("cat/2", 90), ("dog/1", 0), ("dog/2", 200), ("dog/again", 200)):
        file = tmp_path / "animals" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), shade).save(file)
    report = cbir.ingest(tmp_path / "animals", encoder="pixels")
    assert (report.ingested, report.copies, report.conflicting) == (3, 2, 1)
    assert "conflicting" in json.loads(run("ingest", tmp_path / "animals", "--json").stdout)
    told = run("ingest", tmp_path / "animals", "-c", "again", "--encoder", "pixels").stderr
    assert "1 copy has another label than the same picture elsewhere" in told


def test_of_several_copies_one_that_was_seen_takes_the_turn(home: Path, pictures: Path, tmp_path: Path):
    other = tmp_path / "other"
    first = pictures / "b" / "1.png"
    shutil.copytree(pictures / "b", other / "b")
    for folder in (pictures, other):
        cbir.ingest(folder, collection="both", encoder="pixels")
    shutil.copy(first, first.with_name("copy.png"))
    assert consistent(cbir.ingest(pictures, collection="both")).copies == 1
    first.unlink()
    assert consistent(cbir.ingest(pictures, collection="both", prune=True)).pruned == 1
    with closing(EmbeddedEngine(home / "collections").open("both")) as collection:
        found = [
            [place.key for place in places_of(payload)] for page in collection.scroll() for payload in page.payloads
        ]
    assert [("pictures", "b/copy.png"), ("other", "b/1.png")] in found


def by_place(home: Path, name: str = "pictures") -> dict[str, tuple[str, object]]:
    """Return which content each place shows, and its point's label."""
    with closing(EmbeddedEngine(home / "collections").open(name)) as collection:
        return {
            place.uri: (payload["sha256"], payload["label"])
            for page in collection.scroll()
            for payload in page.payloads
            for place in places_of(payload)
        }


def test_a_file_that_became_a_copy_of_another_leaves_its_own_point(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    before = by_place(home)
    shutil.copy(pictures / "b" / "2.png", pictures / "b" / "1.png")
    report = consistent(cbir.ingest(pictures))
    assert (report.points, report.copies, report.gone) == (5, 1, 0)
    assert by_place(home) == {**before, "b/1.png": before["b/2.png"]}


@pytest.mark.parametrize("known", [False, True])
def test_a_copy_that_takes_the_turn_in_a_later_batch_gives_its_own_label(
    home: Path, pictures: Path, known: bool, monkeypatch: pytest.MonkeyPatch
):
    first, copy = pictures / "b" / "1.png", pictures / "a" / "1.png"
    copy.parent.mkdir()
    if known:
        shutil.copy(first, pictures / "b" / "copy.png")
    cbir.ingest(pictures, encoder="pixels")
    (pictures / "b" / "copy.png").rename(copy) if known else shutil.copy(first, copy)
    picture(99).save(first)
    (pictures / "aa").mkdir()
    for seed in range(40):  # batches between both
        picture(100 + seed).save(pictures / "aa" / f"{seed}.png")
    monkeypatch.setattr(reading, "BATCH", 8)
    report = consistent(cbir.ingest(pictures))
    assert (report.points, report.moved, report.copies, report.gone) == (47, 1, 0, 0)
    found = by_place(home)
    assert [found[place][1] for place in ("a/1.png", "b/1.png")] == ["a", "b"]


def test_checksum_finds_a_change_that_no_stamp_shows(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    file = pictures / "b" / "1.png"
    with closing(EmbeddedEngine(home / "collections").open("pictures")) as collection:
        picture(77).save(file)
        status = file.stat()
        (page,) = collection.scroll()
        (number,) = [n for n, payload in enumerate(page.payloads) if payload["uri"] == "b/1.png"]
        stamp = {
            "bytes": status.st_size,
            "modified": status.st_mtime_ns,
            "inode": status.st_ino,
            "changed": status.st_ctime_ns,
        }
        collection.replace_payloads([page.ids[number]], [{**page.payloads[number], **stamp}])
    assert consistent(cbir.ingest(pictures)).unchanged == 6
    report = consistent(cbir.ingest(pictures, checksum=True))
    assert (report.points, report.ingested, report.unchanged, report.updated) == (6, 1, 5, 0)
    assert consistent(cbir.ingest(pictures)).unchanged == 6


def test_strict_fails_after_a_skip_and_names_are_escaped(home: Path, pictures: Path, bundle: Path):
    (pictures / "b" / "odd\x1b[31m\nname.png").write_text("no picture")
    done = run("ingest", pictures, "--model", bundle, "--strict", code=1)
    assert "\x1b[31m" not in done.stderr
    run("ingest", pictures)


def test_old_points_get_what_they_lack_without_encoding_and_doubles_become_one(home: Path, pictures: Path):
    """A collection of format 2: a point for each file, no folder, no format, no inode."""
    import uuid

    shutil.copy(pictures / "b" / "1.png", pictures / "b" / "double.png")
    cbir.ingest(pictures, encoder="pixels")
    engine = EmbeddedEngine(home / "collections")
    with closing(engine.open("pictures")) as collection:
        metadata, (page,) = collection.metadata, collection.scroll()
    engine.delete("pictures")
    old = []
    for payload, vector in zip(page.payloads, page.vectors, strict=True):
        for place in places_of(payload):
            fields = {"label": payload["label"], "uri": place.uri, "source": "pictures", "sha256": payload["sha256"]}
            fields |= {"bytes": place.stamp[0], "modified": place.stamp[1], "caption": "kept"}
            old.append((str(uuid.uuid5(uuid.NAMESPACE_URL, f"pictures:{place.uri}")), vector, fields))
    with closing(engine.create("pictures", metadata)) as collection:
        ids, vectors, payloads = zip(*old, strict=True)
        import numpy as np

        collection.upsert(ids, np.stack(vectors), payloads)
    report = consistent(cbir.ingest(pictures))
    assert (report.points, report.ingested, report.updated) == (6, 0, 7)
    with closing(engine.open("pictures")) as collection:
        (page,) = collection.scroll()
    assert set(page.ids) < set(ids)
    assert all(payload["caption"] == "kept" and payload["format"] == "PNG" for payload in page.payloads)
    consistent(cbir.ingest(pictures, collection="fresh", encoder="pixels"))
    assert stored(home, "pictures") == stored(home, "fresh")
    assert consistent(cbir.ingest(pictures)).unchanged == 7


def test_a_file_may_move_from_one_root_to_another(home: Path, pictures: Path, tmp_path: Path):
    other = tmp_path / "other"
    (other / "x").mkdir(parents=True)
    picture(90).save(other / "x" / "0.png")
    for folder in (pictures, other):
        cbir.ingest(folder, collection="both", encoder="pixels")
    (pictures / "b" / "1.png").rename(other / "x" / "moved.png")
    shutil.copy(pictures / "b" / "2.png", other / "x" / "copied.png")
    report = consistent(cbir.ingest(other, collection="both"))
    assert (report.points, report.unchanged, report.moved, report.copies) == (7, 1, 1, 1)
    assert consistent(cbir.ingest(pictures, collection="both", prune=True)).unchanged == 5
    pictures.rename(tmp_path / "unmounted")
    (other / "x" / "copied.png").rename(other / "x" / "again.png")
    shutil.copy(tmp_path / "unmounted" / "b" / "0.png", other / "x" / "of a disk that is not here.png")
    report = consistent(cbir.ingest(other, collection="both", prune=True))
    assert (report.points, report.unchanged, report.moved, report.copies, report.pruned) == (7, 2, 1, 1, 0)


def test_a_listed_file_is_one_place_of_the_folder_that_is_ingested_later(home: Path, pictures: Path, tmp_path: Path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"{pictures / 'b' / '1.png'}\n{pictures / 'b' / '2.png'}\n")
    consistent(cbir.ingest(listed, collection="all", encoder="pixels"))
    report = consistent(cbir.ingest(pictures, collection="all"))
    assert (report.points, report.ingested, report.updated, report.copies) == (6, 4, 2, 0)
    report = consistent(cbir.ingest(listed, collection="all"))
    assert (report.points, report.unchanged) == (6, 2)


def test_what_is_read_although_it_is_damaged_is_told_and_marked(home: Path, tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        picture(number).save(folder / f"{number:02}.jpg", quality=90)
    for number in range(11):
        file = folder / f"{number:02}.jpg"
        file.write_bytes(file.read_bytes()[:-2])
    (folder / "00.jpg").rename(folder / "00\x1b[31m.jpg")
    done = run("ingest", folder, "--encoder", "pixels", "--strict")
    assert done.stderr.count("read with a warning: ") == 11
    assert "\x1b" not in done.stderr
    assert f"read with a warning: {folder / '01.jpg'}: " in done.stderr
    assert "read with a warning: 1 more, see " in done.stderr
    written = (home / "runs" / "ingest-photos" / "ingest-report.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in written.splitlines()]
    told = {line["uri"]: line["reason"] for line in lines}
    assert ({line["what"] for line in lines}, len(told)) == ({"warning"}, 11)
    with closing(EmbeddedEngine(home / "collections").open("photos")) as collection:
        (page,) = collection.scroll()
    assert {each["uri"]: each["warning"] for each in page.payloads if "warning" in each} == told
    document = json.loads(run("ingest", folder, "--json").stdout)
    assert (document["unchanged"], document["warned"], document["warnings"]) == (12, 0, [])


@pytest.mark.parametrize("archive", [False, True])
def test_bad_pictures_whose_names_are_no_text_are_skipped_like_others(home: Path, tmp_path: Path, archive: bool):
    files = [("empty\udce9.png", b""), ("cut\udce9.png", png(1)[:40]), ("whole\udce9.png", png(2))]
    if archive:
        root = tarred(tmp_path / "odd\udce9.tar", files)
    else:
        root = tmp_path / "odd\udce9"
        root.mkdir()
        for name, content in files:
            (root / name).write_bytes(content)
    report = cbir.ingest(root, collection="odd", encoder="pixels")
    assert (report.points, report.skipped) == (1, 2)
    assert {uri for uri, _ in report.unreadable} == {"%:empty%E9.png", "%:cut%E9.png"}
    assert report.file is not None
    told = [json.loads(each)["reason"] for each in report.file.read_text().splitlines()]
    assert sorted(told) == sorted(reason for _, reason in report.unreadable)
    assert all("odd\\xe9" in reason for reason in told)


def test_a_listed_file_that_has_changed_since_is_one_point(home: Path, pictures: Path):
    file = next(pictures.rglob("*.png"))
    cbir.ingest(file, collection="c", encoder="pixels")
    picture(77).save(file)
    report = cbir.ingest(pictures, collection="c")
    assert (report.points, report.ingested) == (6, 6)
