"""Links in a folder: what is behind them is taken once, and what lies outside only if it is asked for."""

import os
from collections import Counter
from pathlib import Path

from tests.ingest.sources.test_walk import make, reasons, source


def test_links_are_not_followed_out_of_the_folder_and_what_is_inside_is_taken_once(tmp_path: Path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    make(root, "a/1.jpg", "a/2.jpg")
    make(outside, "3.jpg", "more/4.jpg")
    for name, target in [
        ("self", "."), ("a/up", ".."), ("b", "a"), ("5.jpg", "a/1.jpg"), ("6.jpg", "gone.jpg"), ("7", "gone"),
        ("loop.jpg", "loop.jpg"), ("out", outside), ("8.jpg", outside / "3.jpg"), ("a/parent", tmp_path),
    ]:  # fmt: skip
        (root / name).symlink_to(target)
    found = source(root)
    assert [item.uri for item in found.items()] == ["a/1.jpg", "a/2.jpg"]
    assert reasons(root) == {
        "links to what is in the folder anyway": 4,
        "links that lead out of the folder": 3,
        "links that lead nowhere": 1,
    }
    assert {uri: reason.removeprefix(str(root)) for uri, reason in found.problems} == {
        "6.jpg": "/6.jpg is a link that leads nowhere: No such file or directory",
        "loop.jpg": "/loop.jpg is a link that leads nowhere: Too many levels of symbolic links",
    }
    assert {left.hint for left in found.left_out if "out of" in left.reason} == {"--follow takes them"}
    assert found.found == 2 + 8 + 2


def test_links_that_are_followed_do_not_lead_in_circles(tmp_path: Path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    make(root, "1.jpg")
    make(outside, "3.jpg", "more/4.jpg", "note.txt")
    (root / "out").symlink_to(outside)
    (root / "out again").symlink_to(outside)
    (root / "part").symlink_to(outside / "more")
    (root / "parent").symlink_to(tmp_path)
    (root / "3.jpg").symlink_to(outside / "3.jpg")
    (root / "4.txt").symlink_to(outside / "note.txt")
    (outside / "back").symlink_to(root)
    (outside / "self").symlink_to(outside)
    os.mkfifo(outside / "fifo")
    (root / "fifo.jpg").symlink_to(outside / "fifo")
    found = source(root, follow=True)
    names = [Path(item.uri).name for item in found.items()]
    assert Counter(names) == {"1.jpg": 1, "3.jpg": 2, "4.jpg": 1}  # 3.jpg by a link to it, and by one to its folder
    assert all(item.payload["bytes"] == 0 for item in found.items())
