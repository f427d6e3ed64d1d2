# ruff: noqa: PTH102, PTH106, PTH108, PTH113, PTH114, PTH118, PTH123, PTH211 - names are bytes
"""A walk finds everything below a folder: taken, left out for a reason, or a problem; nothing ends it."""

import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.core.uris import folder_and_name, uri_of
from cbir.ingest.sources import listing as listing_module
from cbir.ingest.sources import walk as walk_module
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.listing import Listing
from cbir.ingest.sources.source import SourceError
from cbir.ingest.sources.walk import walk
from cbir.model import formats
from tests.conftest import picture

NOBODY = 65534


def source(root: Path, **options: object) -> FolderSource:
    return FolderSource(root, Choice(**options), may_be_empty=True)


def uris(root: Path, **options: object) -> list[str]:
    return [item.uri for item in source(root, **options).items()]


def reasons(root: Path, **options: object) -> dict[str, int]:
    return {left.reason: left.count for left in source(root, **options).left_out}


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@contextmanager
def without_rights() -> Iterator[None]:
    """Be somebody who may not read everything: permissions do not hold for root."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that anybody may reach."""
    place = tmp_path / "shared"
    place.mkdir(mode=0o755)
    for parent in place.parents:
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return place


def test_pictures_are_found_at_any_depth_in_the_order_of_their_paths(tmp_path: Path):
    make(tmp_path, "b/2.jpg", "b/1.jpg", "b c/1.jpg", "b/x/1.jpg", "z.jpg", "a.jpg", "A/" * 300 + "deep.jpg")
    found = uris(tmp_path)
    assert found == ["a.jpg", "z.jpg", "A/" * 300 + "deep.jpg", "b/1.jpg", "b/2.jpg", "b/x/1.jpg", "b c/1.jpg"]


def test_a_folder_of_more_files_than_are_sorted_at_once_is_in_order_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listing_module, "_ADDED", 7)
    monkeypatch.setattr(listing_module, "_FETCHED", 3)
    make(tmp_path, *(f"{number * 37 % 100:02}.png" for number in range(100)), "x/1.png")
    assert uris(tmp_path) == [*(f"{number:02}.png" for number in range(100)), "x/1.png"]


def test_endings_do_not_decide_what_exists(tmp_path: Path):
    named = ["1.jfif", "2.jpe", "3.mpo", "4.tga", "5.jpg ", "6.JPG", "7.dib", "8.tiff"]
    make(tmp_path, *named)  # empty: reading tells that they are
    for name in ("no ending", "photo.jpg_large", "photo.txt", "photo.jpg.1", "photo. Sunset in the hills, August"):
        picture().save(tmp_path / name, "png")
        named.append(name)
    make(tmp_path, "empty", "notes.md")
    (tmp_path / "story").write_text("once upon a time")
    assert uris(tmp_path) == sorted(named)
    assert reasons(tmp_path) == {"not pictures (no ending, .md)": 3}


def test_what_needs_an_extra_is_counted_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    for name in ("1.heic", "2.HEIC", "no ending"):
        (tmp_path / name).write_bytes(heic)
    picture().save(tmp_path / "jpeg.heic", "png")
    make(tmp_path, "empty.heic")
    monkeypatch.setattr(formats, "_installed", lambda library: library != "pillow_heif")
    assert uris(tmp_path) == ["empty.heic", "jpeg.heic"]
    (left,) = source(tmp_path).left_out
    assert (left.count, left.reason, left.hint) == (
        3,
        "HEIF pictures",
        "to read them: pip install '.[heic]' in cbir's folder",
    )
    monkeypatch.setattr(formats, "_installed", lambda library: True)
    assert len(uris(tmp_path)) == 5


def test_what_programs_keep_for_themselves_is_left_out_for_a_reason(tmp_path: Path):
    taken = ["recycle/1.jpg", "x/eaDir.jpg", "node_modules.jpg"]
    make(tmp_path, *taken)
    make(tmp_path, "@eaDir/1.jpg", "x/@eaDir/1.jpg/thumb.jpg", "#recycle/1.jpg", "$RECYCLE.BIN/1.jpg")
    make(tmp_path, "node_modules/1.jpg", "__MACOSX/1.jpg", ".Trash-1000/1.jpg", "x/._1.jpg", ".x/1.jpg", "x/.1.jpg")
    assert uris(tmp_path) == sorted(taken, key=lambda uri: uri.count("/"))
    told = {re.sub(", .*[)]", ", ...)", reason): count for reason, count in reasons(tmp_path).items()}
    assert told == {
        "of programs or in the trash (@eaDir, ...)": 7,
        "hidden": 2,
        "files that macOS keeps beside others (._*)": 1,
    }
    assert source(tmp_path).found == 3 + 7 + 2 + 1
    examples = {left.reason[:6]: left.examples for left in source(tmp_path).left_out}
    assert examples["hidden"] == (".x/", "x/.1.jpg")
    assert set(uris(tmp_path, hidden=True)) == {*taken, ".x/1.jpg", "x/.1.jpg"}


def test_what_is_no_file_is_never_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        (short := Path("s")).unlink(missing_ok=True)
        here = Path.cwd()
        os.chdir(tmp_path)  # names of sockets are short
        try:
            server.bind(str(short))
        finally:
            os.chdir(here)
        if not os.geteuid():
            os.mknod(tmp_path / "device.png", 0o600 | 0o020000, os.makedev(1, 5))
        assert uris(tmp_path) == []
        (reason,) = reasons(tmp_path)
        assert reason.startswith("neither files nor folders (")
        assert {"fifo", "socket"} <= set(reason[reason.index("(") + 1 : -1].split(", "))


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
def test_folders_that_cannot_be_read_do_not_end_the_walk(shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(formats, "_installed", lambda library: library != "pillow_heif")
    make(
        shared, "a/1.jpg", "lost+found/2.jpg", "listed/3.jpg", "listed/below/4.jpg", "z/5.jpg", "secret", "secret.heic"
    )
    (shared / "lost+found").chmod(0o000)
    (shared / "listed").chmod(0o444)  # names can be read, nothing can be entered
    (shared / "secret").chmod(0o000)
    (shared / "secret.heic").chmod(0o000)
    try:
        with without_rights():
            found = source(shared)
            items = list(found.items())
            assert [item.uri for item in items] == ["secret.heic", "a/1.jpg", "z/5.jpg"]  # reading tells why not
            assert dict(found.problems) == {
                "lost+found": f"{shared}/lost+found cannot be listed: Permission denied",
                "listed": f"{shared}/listed cannot be listed: Permission denied",
            }
            assert set(found.unlisted) == {("shared", ""), ("shared", "lost+found"), ("shared", "listed")}
            assert reasons(shared) == {"not pictures by name, and unreadable (Permission denied)": 1}
            with pytest.raises(SourceError, match=r"lost\+found cannot be read: Permission denied"):
                source(shared / "lost+found")
    finally:
        for name in ("lost+found", "listed"):
            (shared / name).chmod(0o755)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits")
def test_paths_longer_than_the_system_takes_are_reported(tmp_path: Path):
    make(tmp_path, "1.jpg")
    name, here = "n" * 200, os.open(tmp_path, os.O_RDONLY)
    at = here
    for _ in range(25):
        os.mkdir(name, dir_fd=at)
        at, before = os.open(name, os.O_RDONLY, dir_fd=at), at
        os.close(before)
    os.close(os.open("deep.jpg", os.O_CREAT, dir_fd=at))
    os.close(at)
    try:
        found = source(tmp_path)
        assert [item.uri for item in found.items()] == ["1.jpg"]
        ((uri, reason),) = found.problems
        assert reason.endswith("cannot be listed: File name too long")
        assert [place for _, place in found.unlisted] == [uri]
    finally:
        shutil.rmtree(tmp_path / name)  # by descriptors


def test_a_folder_that_vanishes_or_becomes_a_file_meanwhile_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make(tmp_path, "a/1.jpg", "b/2.jpg", "c/3.jpg", "d/4.jpg")
    real = os.scandir

    def scandir(path: bytes):
        if path == os.fsencode(tmp_path / "a"):
            shutil.rmtree(tmp_path / "b")
            shutil.rmtree(tmp_path / "c")
            (tmp_path / "c").touch()
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = source(tmp_path)
    assert ([item.uri for item in found.items()], list(found.problems)) == (["a/1.jpg", "d/4.jpg"], [])


def test_what_vanishes_after_its_folder_was_read_is_taken_by_its_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make(tmp_path, "root/1.jpg", "root/2.heic", "root/3.txt", "outside/4.jpg")
    (tmp_path / "outside" / "more").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    monkeypatch.setattr(formats, "_installed", lambda library: library != "pillow_heif")
    real = os.scandir

    @contextmanager
    def scandir(path: bytes):
        with real(path) as entries:
            found = list(entries)
        yield vanishing(found)

    def vanishing(entries: list["os.DirEntry[bytes]"]) -> Iterator["os.DirEntry[bytes]"]:
        for entry in entries:
            if entry.name == b"more":
                os.rmdir(entry.path)
            elif entry.name.startswith((b"2", b"3")):
                os.unlink(entry.path)
            yield entry

    monkeypatch.setattr(os, "scandir", scandir)
    found = source(tmp_path / "root", follow=True)
    assert [item.uri for item in found.items()] == ["1.jpg", "2.heic", "link/4.jpg"]
    assert (list(found.left_out), list(found.problems)) == ([], [])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_what_the_system_makes_up_is_not_walked(monkeypatch: pytest.MonkeyPatch):
    real = os.scandir

    @contextmanager
    def scandir(path: bytes):
        assert path == b"/"
        with real(path) as entries:
            yield iter([entry for entry in entries if entry.name in (b"proc", b"sys", b"dev")])

    monkeypatch.setattr(os, "scandir", scandir)
    listing = Listing()
    walk("/", Choice(), listing)
    (left,) = listing.tally.left_out
    assert (left.reason, left.count, set(left.examples)) == ("of the running system", 3, {"proc/", "sys/", "dev/"})


def test_a_disk_that_fails_in_the_middle_of_a_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, "a/1.jpg", "b/2.jpg", "b/3.jpg")
    real = os.scandir

    class Failing:
        def __init__(self, path: bytes):
            self.entries, self.fails = real(path), path.endswith(b"/b")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.entries.close()

        def __iter__(self):
            for entry in self.entries:
                yield entry
                if self.fails:
                    raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", Failing)
    found = source(tmp_path)
    assert (len(found), found.unlisted) == (2, [(tmp_path.name, "b")])
    assert [reason for _, reason in found.problems] == [f"{tmp_path}/b cannot be listed: Input/output error"]


def test_a_full_disk_is_no_fault_of_a_folder(tmp_path: Path):
    for number in range(600):
        (tmp_path / f"{number:0200}").mkdir()
    listing = Listing()
    listing._database.execute("PRAGMA max_page_count = 20")
    with pytest.raises(SourceError, match="list of files cannot be kept"):
        walk(str(tmp_path), Choice(), listing)


def test_progress_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(walk_module, "_REPORTED", 2)
    make(tmp_path, *(f"{number}.jpg" for number in range(5)))
    told = []
    walk(str(tmp_path), Choice(), Listing(), progress=lambda *report: told.append(report))
    assert told == [("list", 2, None), ("list", 4, None), ("list", 5, 5)]


#: Names as careless and hostile people choose them.
names = st.one_of(
    st.sampled_from([b"a", b"b.jpg", b".hidden", b"@eaDir", b"._x.jpg", b"x.jpg ", b"new\nline.png", b"\x1b[31m.gif"]),
    st.binary(min_size=1, max_size=20).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b"..")),
)
kinds = st.sampled_from(["file", "picture", "folder", "fifo", "link", "broken", "out"])
trees = st.lists(st.tuples(st.integers(0, 5), names, kinds), max_size=25)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees, st.booleans(), st.booleans())
@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
def test_whatever_is_in_a_folder_is_found_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, tree: list[tuple[int, bytes, str]], hidden: bool, follow: bool
):
    """Every file is an item, left out, or a problem; folders are walked, or are one of these themselves."""
    root = os.fsencode(tmp_path_factory.mktemp("tree", numbered=True))
    outside = root + b"-outside"
    os.mkdir(outside)
    Path(os.fsdecode(outside), "o.jpg").touch()
    folders = [root]
    for place, name, kind in tree:
        path = os.path.join(folders[place % len(folders)], name)
        if os.path.lexists(path):
            continue
        if kind == "folder":
            os.mkdir(path)
            folders.append(path)
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind in ("link", "broken", "out"):
            os.symlink({"link": folders[-1], "broken": b"nowhere", "out": outside}[kind], path)
        else:
            with open(path, "wb") as file:
                file.write(b"\x89PNG\r\n\x1a\n" if kind == "picture" else b"text")
    found = FolderSource(Path(os.fsdecode(root)), Choice(hidden=hidden, follow=follow), may_be_empty=True)
    items = list(found.items())
    places = [item.uri for item in items]
    assert len(set(places)) == len(places) == len(found)
    for item in items:
        item.uri.encode()
        assert item.uri == uri_of(os.path.relpath(item.location, os.fsdecode(root)))
        assert (item.payload["folder"], item.payload["name"]) == folder_and_name(item.uri)
        assert os.path.isfile(item.location)
        assert item.content is not None
    assert found.found == len(found) + sum(left.count for left in found.left_out) + len(list(found.problems))
    assert found.found == _met(root, hidden)  # behind a link out of the folder there is one file
    shutil.rmtree(root)
    shutil.rmtree(outside)


def _is_left_out(name: bytes, hidden: bool) -> bool:
    return name.startswith(b"._") or name == b"@eaDir" or (name.startswith(b".") and not hidden)


def _met(root: bytes, hidden: bool) -> int:
    """Return how many entries there are in folders that are walked, without these folders."""
    count = 0
    for place, folders, files in os.walk(root):
        real = [name for name in folders if not os.path.islink(os.path.join(place, name))]
        walked = [name for name in real if not _is_left_out(name, hidden)]
        count += len(files) + len(folders) - len(walked)
        folders[:] = walked
    return count
