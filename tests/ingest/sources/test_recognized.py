"""Which members and listed files are pictures, by their names and first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.ingest.sources.recognized import is_plain, refusal
from cbir.model.formats import FORMATS, missing_extra, suffix_of
from tests.ingest.sources.test_archive import png

SUFFIXES = {suffix for known in FORMATS if not missing_extra(known.name) for suffix in known.suffixes}


@given(st.text(alphabet="aJPGjpg./ ñ", max_size=12) | st.sampled_from(["x.jpg ", ".jpg", "a/.jpg", "a.b/c", "a.JFIF"]))
def test_names_that_tell_are_those_with_a_pictures_ending(name: str):
    if is_plain(name):
        assert suffix_of(name) in SUFFIXES
    elif not name.startswith(" ") and " ." not in name and not name.endswith("/"):
        assert suffix_of(name) not in SUFFIXES


@pytest.mark.parametrize(
    ("name", "head", "reason"),
    [
        ("a.jpg", b"none", None),
        ("a", png(), None),
        ("a.txt", png(), None),
        ("a.txt", b"text", ("not pictures", ".txt", "")),
        ("README", b"text", ("not pictures", "no ending", "")),
    ],
)
def test_others_are_told_by_their_first_bytes(name: str, head: bytes, reason: object):
    assert refusal(name, lambda: head) == reason
