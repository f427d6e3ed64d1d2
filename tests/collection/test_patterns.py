"""Patterns match what they should, whatever stands in them, and take no longer for odd names."""

from fnmatch import fnmatchcase
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cbir.collection.patterns import beginning, compiled


def matches(pattern: str, text: str, *, path: bool) -> bool:
    """Try every way in which a pattern of letters, `/`, `?` and stars can match."""

    @cache
    def rest(at: int, begin: int) -> bool:
        if at == len(pattern):
            return begin == len(text)
        if path and pattern[at:] == "/**" and begin == len(text):
            return True
        if path and pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            ends = [end for end in range(begin, len(text) + 1) if end == begin or text[end - 1] == "/"]
            return any(rest(at + 3, end) for end in ends)
        if pattern[at] == "*":
            after = at + len(pattern[at:]) - len(pattern[at:].lstrip("*"))
            crosses = not path or after - at > 1
            for end in range(begin, len(text) + 1):
                if rest(after, end):
                    return True
                if end < len(text) and text[end] == "/" and not crosses:
                    break
            return False
        if begin == len(text) or (pattern[at] != text[begin] and (pattern[at] != "?" or (path and text[begin] == "/"))):
            return False
        return rest(at + 1, begin + 1)

    return rest(0, 0)


@given(st.text("ab/*?", max_size=9), st.text("ab/", max_size=9), st.booleans())
def test_a_pattern_matches_in_any_way_that_it_can(pattern: str, text: str, path: bool):
    assert bool(compiled(pattern, path=path).fullmatch(text)) == matches(pattern, text, path=path)


@given(
    st.lists(st.sampled_from(["[", "]", "!", "-", "b", "[a-b", "[!b-c", "c-a", "a-cb]"]), max_size=6).map("".join),
    st.text("abc-]![", max_size=4),
)
@example("[a-bc]", "c")
@example("[a-c]", "b")
@example("[b!c]", "!")
@example("[!b-c]", "b")
def test_sets_of_characters_are_those_of_a_shell(pattern: str, text: str):
    assert bool(compiled(pattern, path=False).fullmatch(text)) == fnmatchcase(text, pattern)


@pytest.mark.parametrize("pattern", ["[!a]", "[!]", "[!z-a]", "[+-9]"])
def test_no_set_of_characters_has_the_slash_of_a_path(pattern: str):
    assert not compiled(f"a{pattern}b", path=True).fullmatch("a/b")
    assert bool(compiled(f"a{pattern}b", path=False).fullmatch("a/b")) == (pattern != "[!]")


@pytest.mark.parametrize(
    ("pattern", "begins"),
    [
        ("abc", "abc"),
        ("a?c", "a"),
        ("a[b]c", "a"),
        (r"a\*\\b*", "a*\\b"),
        ("Holidays/**", "Holidays"),
        ("a/b/**/c", "a/b"),
        ("*.jpg", ""),
    ],
)
def test_what_a_pattern_begins_with(pattern: str, begins: str):
    assert beginning(pattern) == begins


@given(st.text("ab/*?[]\\", max_size=9), st.text("ab/*[\\", max_size=9), st.booleans())
def test_whatever_matches_begins_so(pattern: str, text: str, path: bool):
    assert not compiled(pattern, path=path).fullmatch(text) or text.startswith(beginning(pattern))


@pytest.mark.parametrize("path", [False, True])
def test_many_stars_and_a_long_name_take_no_time(path: bool):
    # By trying all ways, this would take longer than anybody waits.
    assert compiled("*a" * 30 + "*b", path=path).fullmatch("a" * 250) is None
    assert compiled("*a" * 30 + "*b", path=path).fullmatch("a" * 250 + "b")
