"""What a page's address asks for, and the addresses that follow from it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from cbir.collection.point import point_id
from cbir.serve.pages.asked import PAGE, Asked, AskedError

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
POINT = point_id("digits", "digits:database/7")
MANY = st.lists(TEXTS, unique=True, max_size=3).map(tuple)


def read(address: str) -> Asked:
    return Asked.of(QueryParams(address.removeprefix("?")))


@given(st.builds(Asked, q=TEXTS, box=TEXTS, like=MANY, unlike=MANY, where=MANY, max=TEXTS))
def test_an_address_asks_for_what_it_was_made_of(asked: Asked):
    assert read(asked.query()) == asked
    assert read(asked.query(offset=48)) == replace(asked, offset=48)
    after = replace(asked, after=POINT)
    assert (read(asked.query(after=POINT)), read(after.query(where=()))) == (after, replace(asked, where=()))
    assert read(replace(asked, offset=48).query(q="")) == replace(asked, q=""), "another question begins at its first"


def test_an_address_is_read_by_people():
    assert Asked(q="id:1", box="0,0,0.5,1").query() == "?q=id:1&box=0,0,0.5,1"
    assert Asked().query() == "?"


def test_a_query_alone_and_several_examples_become_requests():
    alone = read("?q=up:x&box=0,0,0.5,1&where=label=3&max=1.5&offset=48").request()
    assert alone is not None
    assert (alone.upload, alone.box, alone.where, alone.max_distance) == ("x", (0, 0, 0.5, 1), ["label=3"], 1.5)
    assert (alone.k, alone.offset) == (PAGE, 48)
    several = read("?q=id:a&like=text:a+dog&unlike=up:b").request()
    assert several is not None
    assert [(each.id, each.text) for each in several.like] == [("a", None), (None, "a dog")]
    assert several.unlike[0].upload == "b"
    assert read("?where=label=3").request() is None
    words = read("?text=a+dog&q=id:a&box=0,0,1,1").request()
    assert words is not None
    assert (words.text, words.box) == ("a dog", None)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("?q=7", "'7' is none of id:POINT"),
        ("?q=id:", "none of id:POINT"),
        ("?q=id:a&box=0,1", "box"),
        ("?q=id:a&box=a,b", "should be numbers"),
        ("?q=id:a&box=0.5,0,0.5,1", "left below right"),
        ("?q=id:a&max=nan", "max"),
        ("?q=id:a&max=far", "'far' should be numbers"),
        ("?unlike=id:a", "mark a picture that the others should be like"),
    ],
)
def test_what_an_address_cannot_ask_is_said(address: str, said: str):
    with pytest.raises(AskedError, match=said):
        read(address).request()
