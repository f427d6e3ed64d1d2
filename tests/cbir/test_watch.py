"""A collection that follows a folder: from Python, and as a command that stays until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

import pytest

import cbir
from cbir.core.errors import CbirError
from cbir.ingest import watch
from tests.commands import failure, run
from tests.conftest import picture

#: Seconds to wait for what is going to happen.
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "QUIET", 100)
    monkeypatch.setattr("cbir.verbs.watch._RETRY_AFTER", 0.5)


class Follower:
    """What `cbir.watch` yields, gathered in a thread of its own."""

    def __init__(self, *arguments: object, **options: object) -> None:
        self.stop = threading.Event()
        self._found: Queue[object] = Queue()
        self._thread = threading.Thread(target=self._follow, args=arguments, kwargs=options)
        self._thread.start()

    def _follow(self, *arguments: object, **options: object) -> None:
        for done in cbir.watch(*arguments, stop=self.stop, **options):
            self._found.put(done)

    def until(self, right: Callable[[object], bool]) -> object:
        """Return the first result that is right; those before are passed over."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                done = self._found.get(timeout=max(0, deadline - time.monotonic()))
            except Empty:
                raise AssertionError("it did not come") from None
            if right(done):
                return done

    def end(self) -> None:
        self.stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@contextmanager
def following(*arguments: object, **options: object) -> Iterator[Follower]:
    follower = Follower(*arguments, **options)
    try:
        yield follower
    finally:
        follower.end()


def has(**counts: int) -> Callable[[object], bool]:
    return lambda done: all(getattr(done, name, None) == count for name, count in counts.items())


def test_what_is_new_moved_and_gone_is_followed(home: Path, pictures: Path):
    with following(pictures, collection="p", encoder="pixels") as follower:
        follower.until(has(ingested=6, points=6))
        picture(50).save(pictures / "b" / "new.png")
        follower.until(has(ingested=1, points=7))
        (pictures / "b" / "new.png").rename(pictures / "b" / "moved.png")
        follower.until(has(moved=1, points=7))
        (pictures / "b" / "moved.png").unlink()
        follower.until(has(pruned=1, points=6))
        with cbir.open("p") as searcher:  # nobody is kept out while nothing changes
            assert len(searcher.search(pictures / "b" / "0.png", k=9)) == 6


def test_an_error_does_not_end_it(home: Path, pictures: Path):
    with following(pictures, collection="p", encoder="pixels") as follower:
        follower.until(has(points=6))
        aside = pictures.rename(pictures.with_name("aside"))
        assert isinstance(follower.until(lambda done: isinstance(done, Exception)), CbirError)
        picture(50).save(aside / "b" / "new.png")
        aside.rename(pictures)
        # Nothing was removed meanwhile.
        follower.until(has(ingested=1, unchanged=6, points=7))


def test_a_failed_ingest_is_tried_again_without_a_change(home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch):
    failures = iter([CbirError("busy"), OSError("odd"), ValueError("a defect")])
    ingest = cbir.ingest

    def sometimes(*arguments: object, **options: object) -> object:
        if (pictures / "b" / "new.png").exists() and (error := next(failures, None)):
            raise error
        return ingest(*arguments, **options)

    monkeypatch.setattr("cbir.verbs.watch.ingest", sometimes)
    with following(pictures, collection="p", encoder="pixels") as follower:
        follower.until(has(points=6))
        picture(50).save(pictures / "b" / "new.png")
        for kind in (CbirError, OSError, ValueError):
            follower.until(lambda done, kind=kind: isinstance(done, kind))
        follower.until(has(ingested=1, points=7))


def test_what_cannot_be_followed_is_refused_at_once(home: Path, tmp_path: Path):
    assert "--watch follows folders and archives, and digits is neither" in failure("ingest", "digits", "--watch")
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in run("ingest", tmp_path / "empty", "--watch", code=1).stderr


def test_the_command_stays_until_ctrl_c(home: Path, pictures: Path):
    command = [sys.executable, "-m", "cbir", "ingest", str(pictures), "--encoder", "pixels", "--watch", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    try:
        first = json.loads(process.stdout.readline())
        assert (first["ingested"], first["points"]) == (6, 6)
        (pictures / "b" / "bad.png").write_text("no picture")  # a change, and nothing to say in a document
        for path in (pictures / "münchen käse").iterdir():
            path.rename(pictures / "b" / f"moved {path.name}")
        second = json.loads(process.stdout.readline())
        assert (second["moved"], second["points"]) == (3, 6)
        process.send_signal(signal.SIGINT)
        rest, messages = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, messages
    assert rest == ""
    assert "watching for changes; Ctrl-C ends it" in messages
    assert messages.splitlines()[-1].startswith("cbir: no longer watching")
    assert "Traceback" not in messages


def test_several_folders_and_an_archive(home: Path, pictures: Path, tmp_path: Path):
    second, archive = tmp_path / "second", tmp_path / "third.zip"
    second.mkdir()
    picture(60).save(second / "60.png")
    with zipfile.ZipFile(archive, "w") as file:
        file.write(second / "60.png", "61.png")
    with following([pictures, second, archive], collection="p", encoder="pixels") as follower:
        follower.until(has(ingested=7, copies=1, points=7))
        picture(62).save(second / "62.png")
        follower.until(has(ingested=1, points=8))
        picture(63).save(pictures / "b" / "63.png")
        follower.until(has(ingested=1, points=9))
        (second / "60.png").unlink()  # it is in the archive too
        follower.until(has(pruned=1, points=9))
        archive.unlink()
        follower.until(lambda done: isinstance(done, Exception) or done.points == 8)
