"""Filters: both engines find what plain Python finds."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from qdrant_client import models

from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.kept import INDEXES
from cbir.collection.filter import (
    AllOf,
    Among,
    AnyOf,
    Between,
    Exists,
    Filter,
    Like,
    Not,
    Within,
)
from cbir.collection.interface import Collection
from cbir.collection.served.points import ServedCollection
from tests.collection.matching import everywhere, matches
from tests.collection.sample import METADATA, ids

#: Few words, so that filters find something.
WORDS = st.text(st.sampled_from("ab/*é ["), max_size=5)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "*", "é [b]", ".", "%:"]), min_size=1, max_size=3).map("/".join)
PATTERNS = st.text(st.sampled_from("ab/**?[]!-é\\ "), max_size=7)
TIMES = st.datetimes().map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000).isoformat() + "Z")
NUMBERS = st.integers(-9, 9) | st.integers(-(2**53), 2**53)
#: Qdrant's index takes the north pole itself for a place that is nowhere near it.
GPS = st.fixed_dictionaries({"lon": st.floats(-180, 180), "lat": st.floats(-90, 89.999999)})
#: Columns of a labels file: any type, and names that Qdrant wants quoted.
COLUMNS = st.sampled_from(["mood", "é ö", "a.b", "stars[]"])


def payloads() -> st.SearchStrategy[dict[str, Any]]:
    fields = {
        "label": st.integers(-3, 3) | WORDS,
        "uri": PATHS,
        "folder": PATHS | st.just(""),
        "name": WORDS,
        "source": st.sampled_from("st"),
        "camera": WORDS,
        "width": NUMBERS,
        "modified": st.integers(0, 2**53 // 10**6).map(lambda milliseconds: milliseconds * 10**6),
        "taken_at": TIMES,
        "gps": GPS,
        "mood": WORDS | st.lists(WORDS | st.none(), max_size=3) | NUMBERS | st.booleans() | st.none(),
        "é ö": st.floats(-9, 9, width=16) | st.booleans() | TIMES,
        "a.b": WORDS,
        "stars[]": st.integers(0, 3),
        "copies": st.lists(
            st.fixed_dictionaries({"source": st.sampled_from("su"), "uri": PATHS}), min_size=1, max_size=2
        ),
    }
    return st.fixed_dictionaries({}, optional=fields)


def conditions(stored: list[dict[str, Any]]) -> st.SearchStrategy[Filter]:
    """Conditions, half of them on values that are stored."""
    places = ["uri", "folder", "name", "source"]
    texts = st.sampled_from([*places, "label", "camera"]) | COLUMNS
    seen = [value for payload in stored for field in payload for value in everywhere(payload, field)]
    seen += [value for payload in stored for field in places for value in everywhere(payload, field)]
    words = WORDS | PATHS | st.sampled_from(["", *(value for value in seen if isinstance(value, str))])
    patterns = PATTERNS | st.builds(str.__add__, words, st.sampled_from(["*", "/**", "**"]))
    patterns |= st.builds("{1}{0}{1}".format, words, st.sampled_from(["*", "**", "?"]))
    values = st.lists(words | st.integers(-3, 3), max_size=3)
    bounds = st.sampled_from(["least", "above", "most", "below"])
    known = st.sampled_from([0, *(value for value in seen if type(value) in (int, float))])
    numbers = st.dictionaries(bounds, NUMBERS | st.floats(-9, 9) | known, min_size=1, max_size=2)
    times = st.dictionaries(bounds, TIMES, min_size=1, max_size=2)
    return st.one_of(
        st.builds(Among, texts, values),
        st.builds(Among, st.sampled_from(places), values),
        st.builds(Among, COLUMNS, st.lists(st.booleans(), min_size=1, max_size=2)),
        st.builds(Like, texts, patterns),
        st.builds(Like, st.sampled_from(places), patterns),
        st.builds(lambda field, given: Between(field, **given), st.sampled_from(["width", "label"]) | COLUMNS, numbers),
        st.builds(lambda field, given: Between(field, **given), st.sampled_from(["taken_at"]) | COLUMNS, times),
        st.builds(Exists, texts | st.sampled_from(["gps", "copies", "width"])),
        st.builds(Within, st.just("gps"), st.floats(-90, 90), st.floats(-180, 180), st.floats(1, 2.1e7)),
    )


def filters(stored: list[dict[str, Any]]) -> st.SearchStrategy[Filter]:
    return st.recursive(
        conditions(stored),
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.builds(AllOf, st.lists(inner, max_size=3)),
            st.builds(AnyOf, st.lists(inner, max_size=3)),
        ),
        max_leaves=4,
    )


@given(stored=st.lists(payloads(), min_size=1, max_size=8), data=st.data())
@settings(max_examples=60, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_every_filter_finds_what_plain_python_finds(
    points: Collection, monkeypatch: pytest.MonkeyPatch, stored: list[dict[str, Any]], data: st.DataObject
):
    monkeypatch.setattr("cbir.collection.embedded.filters.INDEXED_ABOVE", data.draw(st.sampled_from([0, 100])))
    points.delete(ids(8))
    points.upsert(ids(len(stored)), np.zeros((len(stored), 4), np.float32), stored)
    for condition in data.draw(st.lists(filters(stored), min_size=3, max_size=8)):
        wanted = {i for i, payload in zip(ids(len(stored)), stored, strict=True) if matches(condition, payload)}
        assert {hit.id for hit in points.search(np.zeros(4, np.float32), 9, where=condition)} == wanted, condition
        assert points.count(where=condition) == len(wanted)
        assert {i for page in points.scroll(where=condition) for i in page.ids} == wanted


def test_a_pattern_finds_texts_where_numbers_are_indexed(points: Collection):
    points.upsert(ids(4), np.zeros((4, 4), np.float32), [{"label": 7}, {"label": "7a"}, {"label": "cat"}, {}])
    for pattern, found in (("?a", 1), ("*", 2), ("c?t", 1), ("7*", 1)):
        assert points.count(where=Like("label", pattern)) == found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("Holidays/**", {"Holidays", "Holidays/2024"}),
        ("Holi*", {"Holidays", "Holidays2"}),
        ("Holi**", {"Holidays", "Holidays/2024", "Holidays2"}),
        ("**/x**", {"xa", "b/xa", "b/xa/c"}),
        ("**xa/**", {"xa", "b/xa", "b/xa/c", "bxa"}),
        ("**xa**", {"xa", "b/xa", "b/xa/c", "bxa"}),
        ("b/*", {"b/xa"}),
        ("?xa", {"bxa"}),
    ],
)
@pytest.mark.parametrize("copied", [False, True])
def test_patterns_of_folders_know_where_a_folder_ends(points: Collection, pattern: str, found: set[str], copied: bool):
    folders = ["Holidays", "Holidays/2024", "Holidays2", "xa", "b/xa", "b/xa/c", "bxa"]
    first = {"uri": "elsewhere/1.png", "folder": "elsewhere", "name": "1.png", "source": "s"}
    payloads: list[dict[str, Any]] = [
        {**first, "copies": [{"uri": f"{folder}/1.png", "source": "s"}]}
        if copied
        else {**first, "uri": f"{folder}/1.png", "folder": folder}
        for folder in folders
    ]
    known = ids(len(folders))
    points.upsert(known, np.zeros((len(known), 4), np.float32), payloads)
    where = Like("folder", pattern)
    assert {folders[known.index(i)] for page in points.scroll(where=where) for i in page.ids} == found
    assert points.count(where=where) == len(found)


@pytest.mark.parametrize("numbers_first", [True, False])
def test_of_a_field_of_numbers_and_times_a_range_finds_its_own(
    points: Collection, monkeypatch: pytest.MonkeyPatch, numbers_first: bool
):
    # Qdrant's index of numbers answers for times as well, and the other way round: as if both were microseconds.
    monkeypatch.setattr("cbir.collection.embedded.filters.INDEXED_ABOVE", 0)
    values = [-6, 3.5, "0288-06-10T06:19:12Z", "2024-06-01T00:00:00+02:00", True, "words", [None], [2, "x"], None]
    points.upsert(ids(9), np.zeros((9, 4), np.float32), [{"mood": value} for value in values])
    if isinstance(points, ServedCollection):  # whoever owns the server may index what they like
        kind = models.PayloadSchemaType.FLOAT if numbers_first else models.PayloadSchemaType.DATETIME
        points._server.client.create_payload_index(points._physical, "mood", kind, wait=True)
    ranges = [(Between("mood", below=3.0), {0, 7}), (Between("mood", below="2024-06-01T00:00:00Z"), {2, 3})]
    for condition, found in ranges if numbers_first else reversed(ranges):
        assert {hit.id for hit in points.search(np.zeros(4, np.float32), 9, where=condition)} == {
            ids(9)[place] for place in found
        }


def test_an_embedded_collection_indexes_what_is_filtered_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cbir.collection.embedded.filters.INDEXED_ABOVE", 4)
    with closing(EmbeddedEngine(tmp_path).create("points", METADATA)) as points:
        payloads = [{"camera": "a", "mood": "calm", "stars": n} for n in range(4)]
        schema = points._shard.info
        # Below so many points, a search is fast without.
        points.upsert(ids(3), np.zeros((3, 4), np.float32), payloads[:3])
        assert points.count(where={"camera": ["a"], "mood": ["calm"]}) == 3
        points.upsert(ids(4)[3:], np.zeros((1, 4), np.float32), payloads[3:])
        assert not schema().payload_schema
        assert points.count(where={"camera": ["a"], "mood": ["calm"]}) == 4
        assert points.count(where=AllOf((Between("stars", least=2), Not(Exists("lens"))))) == 2
        assert set(schema().payload_schema) == {"camera", "mood", "stars", "lens"}
        # On a full disk, a search works as before.
        monkeypatch.setattr("cbir.collection.embedded.shards.free_bytes", lambda folder: 0)
        assert points.count(where={"format": ["PNG"]}) == 0
        assert "format" not in schema().payload_schema


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        # Of a field that cbir writes, the table of fields says it, whatever the condition is;
        (Exists("lens"), "keyword"),
        (Between("width", above=1.5), "integer"),
        (Exists("border_brightness"), "float"),
        (Exists("taken_at"), "datetime"),
        (Within("gps", 48, 2, 10), "geo"),
        # but not where a field may hold one thing or another: the first point that has it decides, when it is stored.
        (Among("label", ("cat",)), None),
        (Exists("copies"), None),
        # Of others, the condition does,
        (Between("stars", least=2), "float"),
        (Between("seen", least="2024-06-01T00:00:00Z"), "datetime"),
        (Within("spot", 48, 2, 10), "geo"),
        (Like("mood", "c*"), "keyword"),
        (Among("mood", ("calm", "wild")), "keyword"),
        # if an index can answer it.
        (Among("mood", ("calm", 3)), None),
        (Among("stars", (3,)), None),
        (Among("mood", ()), None),
        (Exists("mood"), None),
        (Like("é ö", "c*"), None),
    ],
)
def test_an_embedded_collection_indexes_a_field_as_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, condition: Filter, kind: str | None
):
    monkeypatch.setattr("cbir.collection.embedded.filters.INDEXED_ABOVE", 0)
    with closing(EmbeddedEngine(tmp_path).create("points", METADATA)) as points:
        points.count(where=condition)
        indexes = {field: index.data_type for field, index in points._shard.info().payload_schema.items()}
    assert indexes == ({} if kind is None else {next(iter(condition.fields)): INDEXES[kind][0]})


def test_of_two_bounds_on_one_side_the_one_that_says_more_counts(points: Collection):
    assert Between("width", least=3, above=3) == Between("width", above=3)
    assert Between("width", least=4, above=3.5, most=9, below=9.5) == Between("width", least=4, most=9)
    early, late = "2024-06-01T00:00:00Z", "2024-06-01T00:00:00.5Z"
    assert Between("taken_at", least=late, above=early, below=late, most=early) == Between(
        "taken_at", least=late, most=early
    )
    points.upsert(ids(2), np.zeros((2, 4), np.float32), [{"taken_at": early}, {"taken_at": late}])
    assert points.count(where=Between("taken_at", least=late, above="0532-01-01T00:00:00Z")) == 1
