"""Changes of folders are noticed: real files, real notifications of the system."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cbir.core.errors import CbirWarning
from cbir.ingest import watch
from cbir.ingest.sources.source import SourceError
from cbir.ingest.watch import Changes, watchable

#: Seconds to wait for what is going to happen; far more than it takes.
PATIENCE = 30.0
#: Seconds in which what must not happen would have happened.
MOMENT = 1.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "QUIET", 100)
    monkeypatch.setattr(watch, "LONGEST", 5000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "1.png").write_text("1")
    return folder


def test_what_can_be_watched(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "p.zip").touch()
    assert watchable(["link", Path("p.zip")]) == [folder, tmp_path / "p.zip"]
    for wrong in (["digits"], [folder, "-"], ["http://localhost/1.png"], []):
        with pytest.raises(SourceError, match="--watch follows folders and archives"):
            watchable(wrong)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a" / "b" / "2.png").write_text("new"),
        lambda folder: (folder / "a" / "1.png").write_text("changed"),
        lambda folder: (folder / "a" / "1.png").unlink(),
        lambda folder: (folder / "a" / "1.png").rename(folder / "2.png"),
        lambda folder: (folder / "a").rename(folder / "c"),
        lambda folder: os.utime(folder / "a" / "1.png", (1, 1)),
        lambda folder: (folder / "a" / ".cbirignore").write_text("*"),
        lambda folder: shutil.copytree(folder / "a", folder / "new" / "deeper"),
    ],
    ids=["new", "changed", "gone", "moved", "folder moved", "touched", "ignored", "copied"],
)
def test_each_change_is_noticed_once(folder: Path, change: Callable[[Path], object]):
    with Changes([folder]) as changes:
        assert not changes.wait(0)
        change(folder)
        assert changes.wait(PATIENCE)
        assert not changes.wait(MOMENT)


def test_a_burst_is_one_change_and_what_comes_while_nobody_waits_is_kept(folder: Path):
    with Changes([folder]) as changes:
        for number in range(200):
            (folder / f"{number}.png").write_text("x")
        assert changes.wait(PATIENCE)
        assert not changes.wait(MOMENT)
        (folder / "later.png").write_text("x")
        time.sleep(MOMENT)  # an ingest
        assert changes.wait(0)


def test_what_cannot_matter_is_not_noticed(folder: Path, tmp_path: Path):
    home = folder / "home"
    home.mkdir()
    with Changes([folder], [home]) as changes:
        (home / "run.png").write_text("written by an ingest")
        (folder / ".thumbnails").mkdir()
        (folder / ".thumbnails" / "1.png").write_text("x")
        (tmp_path / "outside.png").write_text("x")
        (folder / "a" / "1.png").read_text()
        assert not changes.wait(MOMENT)
    with Changes([folder], hidden=True) as changes:
        (folder / ".thumbnails" / "2.png").write_text("x")
        assert changes.wait(PATIENCE)


def test_an_archive_that_is_replaced(tmp_path: Path):
    archive = tmp_path / "p.zip"
    archive.write_text("1")
    with Changes([archive]) as changes:
        (tmp_path / "other.zip").write_text("2")
        assert not changes.wait(MOMENT)
        (tmp_path / "other.zip").replace(archive)
        assert changes.wait(PATIENCE)
        archive.write_text("3")
        assert changes.wait(PATIENCE)


def test_a_folder_that_goes_and_comes_back_is_watched_again(folder: Path):
    with Changes([folder]) as changes:
        aside = folder.rename(folder.with_name("aside"))  # as if a disk was not mounted
        assert changes.wait(PATIENCE)
        while changes.wait(MOMENT):
            pass
        aside.rename(folder)
        assert changes.wait(PATIENCE)
        while changes.wait(MOMENT):
            pass
        (folder / "2.png").write_text("x")
        assert changes.wait(PATIENCE)


def test_a_name_that_is_no_text(folder: Path):
    with Changes([folder]) as changes:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_text("x")
        assert changes.wait(PATIENCE)
        while changes.wait(MOMENT):
            pass
        (folder / "2.png").write_text("x")
        assert changes.wait(PATIENCE)


def test_where_the_system_cannot_watch_it_looks_at_intervals(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object, **__: object) -> None:
        raise OSError(28, "OS file watch limit reached")

    monkeypatch.setattr("watchfiles.watch", refused)
    monkeypatch.setattr(watch, "INTERVAL", 0.2)
    with Changes([folder]) as changes:
        with pytest.warns(CbirWarning, match="cannot watch all that was named .*limit reached.* every 0 s"):
            assert changes.wait(PATIENCE)
        assert changes.wait(PATIENCE)


def test_stop_ends_the_waiting(folder: Path):
    stop = threading.Event()
    with Changes([folder]) as changes:
        threading.Timer(0.2, stop.set).start()
        assert not changes.wait(PATIENCE, stop)


def test_links_that_lead_round_or_nowhere(folder: Path):
    (folder / "self").symlink_to(".")
    (folder / "a" / "up").symlink_to("..")
    (folder / "nowhere").symlink_to("none")
    with Changes([folder]) as changes:
        (folder / "a" / "b" / "2.png").write_text("x")
        assert changes.wait(PATIENCE)
    assert not changes._problem
