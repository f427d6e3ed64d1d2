import doctest
import os
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cbir.core import uris
from cbir.core.uris import folder_and_name, is_absolute, path_of, shown, uri_of

#: Paths as an operating system has them: any bytes but NUL, no empty parts.
paths = (
    st.lists(st.binary(min_size=1, max_size=12).filter(lambda part: not {0, 47} & set(part)), min_size=1, max_size=4)
    .map(b"/".join)
    .map(lambda path: path.decode("utf-8", "surrogateescape"))
)


def test_the_examples_are_right():
    assert doctest.testmod(uris).failed == 0


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
@given(paths)
@example("%:a")
@example("./a")
@example("%:\udcff")
@example("a%41\udcff")
@example("\\\\server")
@example("c:/x")
def test_every_path_has_a_uri_of_valid_text_that_leads_back(path: str):
    if path.startswith("./"):
        path = "." + path  # no path that is relative to a root begins like this
    uri = uri_of(path)
    uri.encode()
    assert path_of(uri) == path
    assert not is_absolute(uri)
    assert ":" not in uri.partition("/")[0] or uri.startswith("%:")


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
@given(paths, paths)
def test_no_two_paths_have_the_same_uri(one: str, other: str):
    assert (uri_of(one) == uri_of(other)) == (one == other)


@given(st.text())
def test_text_that_is_no_path_of_this_system_does_not_fail(text: str):
    uri_of(text + "\ud800").encode()


@given(st.text().filter(lambda text: not text.startswith(("./", "%:"))))
def test_an_ordinary_path_is_its_own_uri(text: str):
    if ":" not in text.partition("/")[0] and not is_absolute(text):
        assert uri_of(text) == path_of(text) == text


@pytest.mark.parametrize(
    ("uri", "folder", "name"),
    [
        ("a.png", "", "a.png"),
        ("x/y/a.png", "x/y", "a.png"),
        ("./x:y/a.png", "x:y", "a.png"),
        ("%:caf%E9/a.png", "caf%E9", "a.png"),
        ("", "", ""),
    ],
)
def test_a_uri_has_a_folder_and_a_name(uri: str, folder: str, name: str):
    assert folder_and_name(uri) == (folder, name)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("Käse 猫 👍🏽 \u200d.png", "Käse 猫 👍🏽 \u200d.png"),
        ("a\nb\r\t.png", r"a\nb\r\t.png"),
        ("\x1b]0;title\x07\x9b2J", r"\x1b]0;title\x07\x9b2J"),
        ("gnp.\u202egpj", r"gnp.\u202egpj"),
        ("one\u2028two\u2029", r"one\u2028two\u2029"),
        (os.fsdecode(b"\xff\xfe.png"), r"\xff\xfe.png"),
        ("\ud800", r"\ud800"),
        (r"back\slash", r"back\slash"),
    ],
)
def test_names_are_printed_without_what_a_terminal_would_obey(name: str, printed: str):
    assert shown(name) == printed


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_is_printed_is_one_line_of_valid_text(text: str):
    printed = shown(text)
    printed.encode()
    assert len(printed.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in printed)
