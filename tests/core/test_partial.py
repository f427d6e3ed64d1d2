"""What a killed process left half written is told from what is being written, and goes; what may be written stays."""

import errno
import fcntl
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cbir.core import partial
from cbir.core.atomic import atomic_folder, scratch_folder, write_atomic
from cbir.core.leftover import partials
from cbir.core.partial import ABANDONED_AFTER, is_left, is_partial, partial_of

#: Higher than any that Linux gives out.
NO_PROCESS = 2**22 + 1


def in_another_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run code until it prints a line."""
    head = "import sys, time; from pathlib import Path; from cbir.core.atomic import *\n"
    command = [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as printed:
        assert printed.readline() == "ready\n"
    return process


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes the file `one` and the folder `many`, and does not end."""
    process = in_another_process(
        """
        with atomic_file(Path(sys.argv[1], "one")) as file, atomic_folder(Path(sys.argv[1], "many")) as folder:
            file.write_bytes(b"half")
            (folder / "half").write_bytes(b"half")
            print("ready", flush=True)
            time.sleep(60)
        """,
        tmp_path,
    )
    yield process
    kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def test_what_a_killed_process_left_is_found_at_once_and_what_is_written_is_not(
    tmp_path: Path, writer: subprocess.Popen[str]
):
    assert len(list(tmp_path.iterdir())) == 2
    assert not list(partials(tmp_path))
    kill(writer)
    assert [left.path.name.split(".")[1] for left in partials(tmp_path)] == ["many", "one"]
    assert len(list(partials(tmp_path, tmp_path / "one"))) == 1


def test_the_next_writer_of_the_same_sweeps_what_a_killed_one_left(tmp_path: Path, writer: subprocess.Popen[str]):
    write_atomic(tmp_path / "one", b"new")
    with atomic_folder(tmp_path / "many"):
        pass
    assert len(list(tmp_path.iterdir())) == 4  # the other process goes on
    kill(writer)
    write_atomic(tmp_path / "other", b"")
    assert len(list(tmp_path.iterdir())) == 5
    write_atomic(tmp_path / "one", b"newer")
    with scratch_folder(tmp_path / "many"):
        assert len(list(tmp_path.iterdir())) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many", "one", "other"]


def test_what_another_containers_process_holds_stays(tmp_path: Path, writer: subprocess.Popen[str]):
    """Its number says nothing here: no process has it, or another one."""
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace(str(writer.pid), str(NO_PROCESS))))
    assert not list(partials(tmp_path))
    kill(writer)
    assert len(list(partials(tmp_path))) == 2


def old(path: Path) -> Path:
    then = time.time() - ABANDONED_AFTER - 60
    os.utime(path, (then, then))
    return path


@pytest.mark.parametrize("locks", [None, errno.ENOLCK])
def test_without_locks_age_decides(tmp_path: Path, locks: int | None, monkeypatch: pytest.MonkeyPatch):
    """On Windows, and on some file systems."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(locks, "no locks here")

    if locks is None:
        monkeypatch.setattr(partial, "fcntl", None)
        monkeypatch.setattr(os, "kill", pytest.fail)  # on Windows, it would end that process
    else:
        monkeypatch.setattr(fcntl, "flock", refuse)
    gone = tmp_path / f".one.{NO_PROCESS}-0123abcd.partial"
    gone.touch()
    assert not is_left(gone)
    assert is_left(old(gone))
    write_atomic(tmp_path / "one", b"new")
    with atomic_folder(tmp_path / "many") as folder:
        (folder / "file").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many", "one"]


def test_what_a_process_that_runs_may_have_left_stays_until_it_is_old(tmp_path: Path):
    mine = partial_of(tmp_path / "one")
    mine.touch()
    assert not is_left(mine)
    assert is_left(old(mine))


def test_other_hidden_files_are_nobodys(tmp_path: Path):
    names = [".one.partial", ".one.12.partial", f"one.{NO_PROCESS}-0123abcd.partial", f".one.{NO_PROCESS}-0123abcd.tmp"]
    assert not any(is_partial(tmp_path / name) for name in names)
    assert is_partial(partial_of(tmp_path / "a\nb"), tmp_path / "a\nb")
    assert not is_partial(partial_of(tmp_path / "a.b"), tmp_path / "a")


@pytest.mark.parametrize("name", ["ภ" * 85, "x" * 255, "caf\udce9" * 20])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str):
    write_atomic(tmp_path / name, b"new")
    with atomic_folder(tmp_path / "folder" / name) as folder:
        (folder / "file").touch()
    assert (tmp_path / name).read_bytes() == b"new"
    assert (tmp_path / "folder" / name / "file").is_file()


def test_processes_that_write_one_file_at_once_all_succeed_and_a_reader_sees_one_of_them_whole(tmp_path: Path):
    place, size = tmp_path / "one", 300_000
    code = """
        print("ready", flush=True)
        for _ in range(40):
            write_atomic(Path(sys.argv[1]), sys.argv[2].encode() * int(sys.argv[3]))
    """
    writers = [in_another_process(code, place, letter, size) for letter in "ab"]
    seen = set()
    while any(process.poll() is None for process in writers):
        if place.exists():
            content = place.read_bytes()
            seen.add((content[:1], content[:1] * size == content))
    assert [process.wait() for process in writers] == [0, 0]
    assert {whole for _, whole in seen} == {True}
    assert list(tmp_path.iterdir()) == [place]


def test_all_is_on_disk_before_it_has_its_name_also_where_only_open_files_that_are_written_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Windows syncs no file that is open for reading, and opens no folder."""
    synced, sync = [], os.fsync

    def as_on_windows(descriptor: int) -> None:
        assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & (os.O_RDWR | os.O_WRONLY)
        name = Path(f"/proc/self/fd/{descriptor}").resolve().name
        synced.append((name, sorted(path.name for path in tmp_path.iterdir())))
        sync(descriptor)

    opening = os.open

    def no_folders(path: Path, *arguments: int, **keywords: int) -> int:
        if os.path.isdir(path):  # noqa: PTH112
            raise PermissionError(errno.EACCES, "a folder")
        return opening(path, *arguments, **keywords)

    monkeypatch.setattr(partial, "fcntl", None)
    monkeypatch.setattr(os, "fsync", as_on_windows)
    monkeypatch.setattr(os, "open", no_folders)
    write_atomic(tmp_path / "one", b"new")
    ((name, there),) = synced
    assert is_partial(Path(name), tmp_path / "one")
    assert there == [name]
    synced.clear()
    with atomic_folder(tmp_path / "many") as folder:
        for each in ("a", "b"):
            (folder / each).write_bytes(b"x")
    assert sorted(name for name, _ in synced) == ["a", "b"]
    assert not any("many" in there for _, there in synced)


def test_a_file_that_cannot_reach_the_disk_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_atomic(tmp_path / "one", b"old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="input/output error"):
        write_atomic(tmp_path / "one", b"new")
    with pytest.raises(OSError, match="input/output error"), atomic_folder(tmp_path / "many") as folder:
        (folder / "file").touch()
    assert (tmp_path / "one").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
