"""Files and folders that are written completely or not at all."""

import os
from pathlib import Path

import pytest

from cbir.core.atomic import atomic_file, atomic_folder, write_atomic


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path: Path):
    place = tmp_path / "deep" / "file.bin"
    write_atomic(place, b"old")
    with pytest.raises(RuntimeError), atomic_file(place) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError
    assert place.read_bytes() == b"old"
    write_atomic(place, b"new")
    assert place.read_bytes() == b"new"
    assert [path.name for path in place.parent.iterdir()] == ["file.bin"]


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path: Path):
    target, link = tmp_path / "disk" / "target", tmp_path / "link"
    write_atomic(target, b"old")
    link.symlink_to("disk/target")
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_two_writers_do_not_disturb_each_other(tmp_path: Path):
    place = tmp_path / "file"
    with atomic_file(place) as first:
        first.write_bytes(b"first")
        with atomic_file(place) as second:
            second.write_bytes(b"second")
    assert place.read_bytes() == b"first"  # finished last
    assert len(list(tmp_path.iterdir())) == 1


def test_permissions_follow_the_umask(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", b"")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path):
    place = tmp_path / "models" / "one"
    with pytest.raises(KeyboardInterrupt), atomic_folder(place) as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt
    assert not any((tmp_path / "models").iterdir())
    with atomic_folder(place) as folder:
        (folder / "file").touch()
        assert not place.exists()
    assert [path.name for path in place.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_folder_does_not_replace_what_has_its_name_by_now(tmp_path: Path, kind: str):
    place = tmp_path / "one"

    def make() -> None:
        with atomic_folder(place):
            if kind == "file":
                place.touch()
            else:
                (place / "in it").mkdir(parents=True)

    with pytest.raises(FileExistsError, match="one"):
        make()
    assert list(tmp_path.iterdir()) == [place]
