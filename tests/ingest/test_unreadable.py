"""Files that cannot be read are not opened again before they, or what reads them, change."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

import cbir
from cbir.core.processes import ProcessError
from cbir.ingest import decode, unreadable
from cbir.ingest.report import Report
from cbir.ingest.sources import folder
from cbir.ingest.unreadable import FILE
from tests.conftest import picture


@pytest.fixture
def root(home: Path, tmp_path: Path) -> Path:
    (tmp_path / "root" / "a").mkdir(parents=True)
    for seed in range(3):
        picture(seed).save(tmp_path / "root" / "a" / f"{seed}.png")
    (tmp_path / "root" / "a" / "bad.png").write_bytes(b"no picture")
    damaged = (tmp_path / "root" / "a" / "0.png").read_bytes()[:60]
    (tmp_path / "root" / os.fsdecode(b"\xff.png")).write_bytes(damaged)
    report = cbir.ingest(tmp_path / "root", encoder="pixels")
    assert (report.points, report.skipped) == (3, 2)
    return tmp_path / "root"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read."""
    found: list[str] = []
    read = folder.read_file

    def spied(path: str) -> bytes:
        found.append(Path(path).name)
        return read(path)

    monkeypatch.setattr(folder, "read_file", spied)
    return found


def told(report: Report) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in (report.file or Path("/")).read_text().splitlines()]
    return sorted((line["uri"], line["reason"]) for line in lines if line["what"] == "skipped")


def test_they_are_counted_and_named_each_time_and_not_opened(root: Path, opened: list[str]):
    first = cbir.ingest(root, checksum=True)
    assert sorted(opened) == ["0.png", "1.png", "2.png", "bad.png", "\udcff.png"]
    opened.clear()
    again = cbir.ingest(root)
    assert (opened, again.skipped, again.unchanged, again.found) == ([], 2, 3, 5)
    assert told(again) == told(first)
    assert sorted(again.unreadable) == sorted(first.unreadable)
    picture(9).save(root / "a" / "new.png")
    assert (cbir.ingest(root).ingested, opened) == (1, ["new.png"])


def test_what_has_changed_is_read(root: Path, opened: list[str], home: Path):
    picture(8).save(root / "a" / "bad.png")
    assert cbir.ingest(root).ingested == 1
    os.utime(root / os.fsdecode(b"\xff.png"), ns=(1, 1))
    assert cbir.ingest(root).skipped == 1
    assert sorted(opened) == ["bad.png", "\udcff.png"]
    (root / os.fsdecode(b"\xff.png")).unlink()
    assert len((home / "runs" / "ingest-root" / FILE).read_text().splitlines()) == 2
    assert cbir.ingest(root).skipped == 0
    assert not (home / "runs" / "ingest-root" / FILE).exists()


def test_another_reader_or_a_damaged_cache_tries_again(
    root: Path, opened: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(unreadable, "unreadable_suffixes", lambda: frozenset([".heic"]))
        assert (cbir.ingest(root).skipped, len(opened)) == (2, 2)
    cache = home / "runs" / "ingest-root" / FILE
    for damage in (b"", b"{", b"\xff", b"[1]\n", cache.read_bytes()[:-20], cache.read_bytes() + b'{"location": 7}\n'):
        cache.write_bytes(damage)
        assert (cbir.ingest(root).skipped, cbir.ingest(root).skipped) == (2, 2)
    shutil.rmtree(home / "runs")
    opened.clear()
    assert (cbir.ingest(root).skipped, len(opened)) == (2, 2)


def test_a_picture_that_became_bad_stays_stored_and_is_read_once(root: Path, opened: list[str]):
    (root / "a" / "1.png").write_bytes(b"no picture any more")
    reports = [cbir.ingest(root) for _ in range(2)]
    assert [(report.skipped, report.unchanged, report.points) for report in reports] == [(3, 2, 3)] * 2
    assert opened == ["1.png"]


def test_what_failed_for_want_of_time_or_memory_is_tried_again(
    root: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
):
    def crashed(*_: object) -> None:
        raise ProcessError("its process crashed (SIGKILL)")

    picture(9).save(root / "a" / "large.png")
    with monkeypatch.context() as patch:
        patch.setattr(decode.Processes, "call", crashed)
        assert cbir.ingest(root).skipped == 3
    opened.clear()
    assert (cbir.ingest(root).ingested, opened) == (1, ["large.png"])


def test_other_roots_of_the_collection_are_kept_in_mind(root: Path, tmp_path: Path, opened: list[str]):
    (tmp_path / "other").mkdir()
    picture(20).save(tmp_path / "other" / "20.png")
    (tmp_path / "other" / "bad.png").write_bytes(b"no picture either")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.write(tmp_path / "other" / "bad.png", "bad.png")
        archive.write(tmp_path / "other" / "20.png", "20.png")
    for source in (tmp_path / "other", tmp_path / "other.zip"):
        assert cbir.ingest(source, collection="root").skipped == 1
    opened.clear()
    for source in (root, tmp_path / "other", tmp_path / "other.zip"):
        assert cbir.ingest(source, collection="root").ingested == 0
    assert opened == []
