"""Groups have a middle that all are linked to, and what is to be kept is said with its reason."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.search.duplicates.candidates import in_good_order
from cbir.search.duplicates.compared import differ
from cbir.search.duplicates.groups import components, groups, stars
from cbir.search.duplicates.keep import Copy, best

PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda pair: pair[0] != pair[1]), max_size=30)


@given(PAIRS)
def test_all_are_linked_to_the_middle_and_nobody_is_in_two_groups(pairs: list[tuple[int, int]]):
    known = {frozenset(pair) for pair in pairs}
    found = groups(pairs, min, lambda one, other: frozenset((one, other)) in known)
    members = [key for group in found for key in group]
    assert len(members) == len(set(members))
    assert all(frozenset((group[0], key)) in known for group in found for key in group[1:])
    assert all(len(group) > 1 for group in found)
    # Whoever is left out has links to members of groups only.
    out = {key for pair in pairs for key in pair}.difference(members)
    assert not any(out.issuperset(pair) for pair in pairs)


def test_a_chain_of_likes_is_no_group():
    chain = [(number, number + 1) for number in range(6)]
    assert components(chain) == [list(range(7))]
    known = {frozenset(pair) for pair in chain}
    found = groups(chain, min, lambda one, other: frozenset((one, other)) in known)
    assert sorted(map(sorted, found)) == [[0, 1], [2, 3], [4, 5]]


def test_ten_times_as_many_groups_do_not_take_a_hundred_times_as_long():
    pairs = [(2 * number, 2 * number + 1) for number in range(30_000)]
    start = time.process_time()
    assert len(groups(pairs, min, lambda one, other: other == one + 1)) == len(pairs)
    assert time.process_time() - start < 10  # 45 s if the pairs are gone through for each group


@given(PAIRS)
def test_where_all_links_are_known_groups_are_the_same(pairs: list[tuple[int, int]]):
    known = {frozenset(pair) for pair in pairs}
    expected = groups(pairs, max, lambda one, other: frozenset((one, other)) in known)
    found = stars(pairs, lambda key: key)
    assert sorted((group[0], *sorted(group[1:])) for group in found) == sorted(
        (group[0], *sorted(group[1:])) for group in expected
    )


def test_twenty_thousand_pictures_of_one_motif_are_grouped_soon():
    """Each is linked to the ten after it, which connects them all."""
    pairs = [(one, other) for one in range(20_000) for other in range(one + 1, min(one + 11, 20_000))]
    start = time.process_time()
    assert sum(map(len, stars(pairs, lambda key: (key * 7919) % 20_000))) > 15_000
    assert time.process_time() - start < 5  # minutes if what is left is connected anew for each group


@given(PAIRS)
def test_pairs_are_only_reordered_and_neighbours_follow_each_other(pairs: list[tuple[int, int]]):
    named = [(f"{one:02}", f"{other:02}") for one, other in pairs]
    assert sorted(in_good_order(named)) == sorted(named)


def test_a_picture_is_opened_once_for_pairs_that_follow():
    """Two families of which each is all pairs: none of the second is met before the first is done."""
    pairs = [(f"{family}{one}", f"{family}{other}") for one in range(4) for other in range(one) for family in "ab"]
    ordered = in_good_order(pairs)
    assert [pair[0][0] for pair in ordered] == ["a"] * 6 + ["b"] * 6


@pytest.mark.parametrize(
    ("one", "other", "different"),
    [
        ("2024-06-01T12:00:00Z", "2024-06-01T12:00:00Z", False),
        ("2024-06-01T12:00:00Z", "2024-06-01T12:00:01Z", True),
        ("2024-06-01T12:00:00Z", "2024-06-01T12:00:00+02:00", False),
        ("2024-06-01T12:00:00.25Z", "2024-06-01T12:00:00Z", False),
        ("2024-06-01T12:00:00.25Z", "2024-06-01T12:00:00.250Z", False),
        ("2024-06-01T12:00:00.25Z", "2024-06-01T12:00:00.50Z", True),
        ("2024-06-01T12:00:00Z", None, False),
        ("yesterday", "2024-06-01T12:00:00Z", False),
    ],
)
def test_cameras_clocks_are_compared_by_what_both_tell(one: str, other: str | None, different: bool):
    assert differ(one, other) is differ(other, one) is different


COPY = Copy("1", 1000.0, covered=False, camera=False, grey=False, bytes=500, modified=20, uri="a.jpg")


@pytest.mark.parametrize(
    ("other", "kept", "why"),
    [
        ({"pixels": 4000.0, "grey": True, "covered": True}, "2", "most pixels"),
        ({"pixels": 1010.0, "covered": True}, "1", "as many pixels, nothing laid over it or around it"),
        ({"camera": True, "bytes": 100}, "2", "as many pixels, has the camera's data"),
        ({"grey": True, "bytes": 900}, "1", "as many pixels, in colour"),
        ({"bytes": 900, "modified": 90}, "2", "as many pixels, largest file"),
        ({"modified": 10}, "2", "as many pixels and bytes as others, but oldest file"),
        ({"modified": 0}, "1", "as many pixels and bytes as others, but first by name"),
    ],
)
def test_what_is_kept_and_why(other: dict, kept: str, why: str):
    theirs = replace(COPY, **{"id": "2", "uri": "b.jpg", **other})
    for copies in ([COPY, theirs], [theirs, COPY]):
        chosen, reason = best(copies)
        assert (chosen.id, reason) == (kept, why)


def test_one_of_ten_thousand_copies_is_chosen_soon():
    copies = [replace(COPY, id=str(number), uri=f"{number}.jpg", modified=20) for number in range(10_000)]
    start = time.process_time()
    assert best(copies)[0].uri == "0.jpg"
    assert time.process_time() - start < 3  # 9 s if each is compared with all
