"""Patterns choose among what is in a folder: those that are given, and those of ignore files in it."""

import os
from pathlib import Path

import pytest

from cbir.core.options import OptionError
from tests.ingest.sources.test_walk import make, reasons, source, uris


def test_ignore_files_hold_for_what_is_below_them(tmp_path: Path):
    make(
        tmp_path, "1.jpg", "drafts/2.jpg", "drafts/keep.jpg", "a/3.jpg", "a/b/4.png", "a/b/drafts/5.jpg", "@eaDir/6.jpg"
    )
    (tmp_path / ".cbirignore").write_text("# not yet\ndrafts/**\n!drafts/keep.jpg\n*.png\n!@eaDir\n")
    (tmp_path / "a" / "b" / ".cbirignore").write_bytes(b"\xef\xbb\xbf!*.png\r\n/drafts\r\n")
    assert uris(tmp_path) == ["1.jpg", "@eaDir/6.jpg", "a/3.jpg", "a/b/4.png", "drafts/keep.jpg"]
    assert reasons(tmp_path) == {"named in .cbirignore": 2, "hidden": 2}
    (tmp_path / "a" / ".cbirignore").write_text("*")
    assert "a/3.jpg" not in uris(tmp_path)
    assert "a/b/4.png" not in uris(tmp_path)  # its folder is left out, so nobody looks into it


def test_an_ignore_file_that_cannot_be_read_leaves_its_folder_unlisted(tmp_path: Path):
    make(tmp_path, "1.jpg", "a/2.jpg", "b/3.jpg", "c/4.jpg")
    (tmp_path / "a" / ".cbirignore").write_bytes(b"x" * (1 << 20) + b"x")
    (tmp_path / "b" / ".cbirignore").write_text("a\n!\n")
    os.mkfifo(tmp_path / "c" / ".cbirignore")
    found = source(tmp_path)
    assert [item.uri for item in found.items()] == ["1.jpg", "c/4.jpg"]
    assert {uri: reason.partition("its ")[2] for uri, reason in found.problems} == {
        "a": ".cbirignore has 1,048,577 bytes",
        "b": ".cbirignore: Invalid git pattern: '!'",
    }
    assert [uri for _, uri in found.unlisted] == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({"exclude": ["b"]}, ["1.jpg", "a/2.png", "a/#x.jpg"]),
        ({"exclude": ["*.png", "b/"]}, ["1.jpg", "a/#x.jpg"]),
        ({"exclude": ["/a/**", "!a/2.png"]}, ["1.jpg", "a/2.png", "b/c/3.jpg"]),
        ({"exclude": ["#x.jpg"]}, ["1.jpg", "a/2.png", "b/c/3.jpg"]),
        ({"include": ["*.png"]}, ["a/2.png"]),
        ({"include": ["b/**", "1.*"]}, ["1.jpg", "b/c/3.jpg"]),
        ({"include": ["b"]}, ["b/c/3.jpg"]),
        ({"include": ["@eaDir"]}, ["@eaDir/4.jpg"]),
        ({"include": ["*", "@eaDir/"]}, ["1.jpg", "@eaDir/4.jpg", "a/#x.jpg", "a/2.png", "b/c/3.jpg"]),
        ({"include": [".*"]}, [".h/5.jpg", "a/.6.jpg"]),
        ({"include": ["*.jpg"], "hidden": True}, ["1.jpg", ".h/5.jpg", "a/#x.jpg", "a/.6.jpg", "b/c/3.jpg"]),
        ({"include": ["b"], "exclude": ["*.jpg"]}, []),
    ],
)
def test_patterns_choose(tmp_path: Path, options: dict[str, object], taken: list[str]):
    make(tmp_path, "1.jpg", "a/2.png", "b/c/3.jpg", "@eaDir/4.jpg", ".h/5.jpg", "a/.6.jpg", "a/#x.jpg")
    assert sorted(uris(tmp_path, **options)) == sorted(taken)


def test_patterns_and_names_may_be_in_either_unicode_form(tmp_path: Path):
    make(tmp_path, "Ka\u0308se/1.jpg", "Kaffee/2.jpg")
    assert uris(tmp_path, exclude=["K\u00e4se"]) == ["Kaffee/2.jpg"]
    assert uris(tmp_path, include=["K\u00e4se/**"]) == ["Ka\u0308se/1.jpg"]


@pytest.mark.parametrize("pattern", ["!", "\\", "", "a["])
def test_a_pattern_that_is_none_is_refused(tmp_path: Path, pattern: str):
    with pytest.raises(OptionError, match="--exclude"):
        source(tmp_path, exclude=[pattern])
