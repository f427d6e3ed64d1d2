"""The places of a content: read from a payload and written into one, and what a filter says of each."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cbir.collection.filter import AllOf, Among, AnyOf, Between, Exists, Filter, Like, Not
from cbir.collection.filter_place import at_place
from cbir.collection.place import PLACE, Place, places_of, stored_places, with_places
from cbir.core.uris import folder_and_name
from tests.collection.matching import matches

NUMBERS = st.none() | st.integers(-(2**63), 2**63 - 1)
URIS = st.lists(st.sampled_from(["a", "b", "é [b]", "."]), min_size=1, max_size=3).map("/".join)
#: A size, which all places of a content share, and the rest of a stamp for each.
PLACES = st.tuples(
    NUMBERS, st.lists(st.tuples(st.sampled_from("st"), URIS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=4)
).map(lambda drawn: [Place(s, uri, (drawn[0], *stamp)) for s, uri, *stamp in drawn[1]])

CONDITIONS = st.one_of(
    st.builds(Among, st.sampled_from(["source", "uri", "folder", "name"]), st.lists(URIS | st.just("s"), max_size=3)),
    st.builds(
        Like, st.sampled_from(["source", "uri", "folder", "name"]), st.text(st.sampled_from("ab/*?"), max_size=4)
    ),
    st.builds(Among, st.just("camera"), st.sampled_from([("a",), ("b",), ()])),
    st.builds(Between, st.just("width"), least=st.integers(0, 2)),
    st.builds(Exists, st.sampled_from(["camera", "width"])),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, max_size=3)),
        st.builds(AnyOf, st.lists(inner, max_size=3)),
    ),
    max_leaves=5,
)
CONTENTS = st.fixed_dictionaries({}, optional={"camera": st.sampled_from("ab"), "width": st.integers(0, 2)})


@given(places=PLACES, content=CONTENTS)
def test_places_are_read_as_they_were_written_and_other_fields_stay(places: list[Place], content: dict[str, Any]):
    before = {"sha256": "0", **content}
    payload = with_places(before, places)
    assert list(places_of(payload)) == places
    assert {name: payload[name] for name in before} == before
    assert with_places(payload, places) == payload
    # What others stay with is all that is stored of them.
    assert with_places(payload, places[:1]) == with_places(before, places[:1])
    assert with_places(before, places[:1]).keys() <= {*before, *PLACE}


def test_the_fields_of_places_are_those_that_other_tools_know():
    known = Place("s", "a/1.png", (10, 20, 30, 40))
    other = Place("t", "b.png", (10, None, None, 50))
    assert with_places({"sha256": "0"}, [known, other]) == {
        "sha256": "0",
        "source": "s",
        "uri": "a/1.png",
        "folder": "a",
        "name": "1.png",
        "bytes": 10,
        "modified": 20,
        "inode": 30,
        "changed": 40,
        "copies": [{"source": "t", "uri": "b.png", "changed": 50}],
    }
    (image,) = places_of({"source": "mnist", "uri": "mnist:train/7"})
    assert image == Place("mnist", "mnist:train/7", is_file=False)
    assert image.fields() == {"source": "mnist", "uri": "mnist:train/7"}
    assert [place.is_file for place in places_of({"bytes": 1, "copies": [{}]})] == [True, True]


@pytest.mark.parametrize("wrong", [{}, "x", 7, {"uri": "b"}, [7, None, "x", ["y"]]])
def test_what_other_tools_wrote_in_place_of_copies_is_none(wrong: object):
    payload = {"source": "s", "uri": 7, "bytes": True, "modified": 2**63, "inode": "1", "copies": wrong}
    assert list(places_of(payload)) == [Place("s", "")]
    assert list(stored_places(payload)) == [payload]


@given(places=PLACES, content=CONTENTS, condition=FILTERS)
@example([Place("s", "a")], {"width": 1}, AnyOf((Among("camera", ("a",)), Between("width", least=1))))
@example([Place("s", "a")], {"width": 1}, AllOf((Among("camera", ("a",)), Between("width", least=1))))
def test_a_filter_says_of_a_place_what_it_says_of_a_point_that_is_nowhere_else(
    places: list[Place], content: dict[str, Any], condition: Filter
):
    payload = with_places({"sha256": "0", **content}, places)
    for place, stored in zip(places, stored_places(payload), strict=True):
        folder, name = folder_and_name(place.uri)
        alone = {**content, "source": place.source, "uri": place.uri, "folder": folder, "name": name}
        said = at_place(condition, stored)
        if not isinstance(said, bool):  # the rest is about the content, whose places do not count any more
            assert said.fields <= {"camera", "width"}
            said = matches(said, content)
        assert said == matches(condition, alone)
