"""The language of filters: what is typed means what it says; any text gives a filter, or one line that helps."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.collection.fields import BY_NAME, Field
from cbir.collection.filter import (
    AllOf,
    Among,
    AnyOf,
    Between,
    Exists,
    Filter,
    FilterError,
    Like,
    Not,
    Within,
)
from cbir.collection.filter_json import from_json, to_json
from cbir.collection.filter_text import parse_where, parse_within
from cbir.collection.interface import Collection
from cbir.collection.stored_fields import StoredFields, read_where
from cbir.core.uris import shown
from tests.collection.matching import matches
from tests.collection.sample import fill, ids


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in a time zone with summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


JUNE = 1_717_192_800_000_000_000  # 2024-06-01T00:00 in Berlin
DAY = 86_400_000_000_000


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("camera=Pixel 8", Among("camera", ("Pixel 8",))),
        (" camera = Pixel 8 ", Among("camera", ("Pixel 8",))),
        ("camera==Pixel 8", Among("camera", ("Pixel 8",))),
        ('"camera"=Pixel 8', Among("camera", ("Pixel 8",))),
        ("camera!=Pixel 8", Not(Among("camera", ("Pixel 8",)))),
        ("camera=Pixel 8,iPhone 12", Among("camera", ("Pixel 8", "iPhone 12"))),
        ('camera="a, b", "c\\"d"', Among("camera", ("a, b", 'c"d'))),
        (r"camera=a\, b", Among("camera", ("a, b",))),
        ('camera="Pixel*"', Among("camera", ("Pixel*",))),
        (r"camera=Pixel\*", Among("camera", ("Pixel*",))),
        ("camera=Pixel*,Canon", AnyOf((Among("camera", ("Canon",)), Like("camera", "Pixel*")))),
        ("camera=*", Exists("camera")),
        ("camera!=*", Not(Exists("camera"))),
        ("copies=*", Exists("copies")),
        ("gps!=*", Not(Exists("gps"))),
        ("folder=Holidays/**", Like("folder", "Holidays/**")),
        ("folder=", Among("folder", ("",))),
        ("folder=*", Like("folder", "*")),
        ("name=IMG[1].jpg", AnyOf((Among("name", ("IMG[1].jpg",)), Like("name", "IMG[1].jpg")))),
        ("label=7", Among("label", (7, "7"))),
        ("label=7,cat", Among("label", (7, "7", "cat"))),
        ('label="7"', Among("label", ("7",))),
        (r"name=a\[?.jpg", Like("name", r"a\[?.jpg")),
        (r"name=a\[.jpg", Among("name", ("a[.jpg",))),
        ("label=99999999999999999999", Among("label", ("99999999999999999999",))),
        ("label=cat*", Like("label", "cat*")),
        ("label>=5", Between("label", least=5)),
        ("width>4000", Between("width", above=4000)),
        ("width=28", Among("width", (28,))),
        ("width=9223372036854775807", Among("width", (2**63 - 1,))),
        ("height<1e3", Between("height", below=1000.0)),
        ("bytes>10MB", Between("bytes", above=10_000_000)),
        ("bytes<=1.5 GiB", Between("bytes", most=1_610_612_736)),
        ("bytes>1.0005kB", Between("bytes", above=1000.5)),
        ("bytes>=500k", Between("bytes", least=500_000)),
        ("bytes<10", Between("bytes", below=10)),
        ("taken_at=2024", Between("taken_at", least="2024-01-01T00:00:00Z", below="2025-01-01T00:00:00Z")),
        ("taken_at=2024-12", Between("taken_at", least="2024-12-01T00:00:00Z", below="2025-01-01T00:00:00Z")),
        ("taken_at>=2024-06-01", Between("taken_at", least="2024-06-01T00:00:00Z")),
        ("taken_at>2024-02-29", Between("taken_at", least="2024-03-01T00:00:00Z")),
        ("taken_at<2024-06", Between("taken_at", below="2024-06-01T00:00:00Z")),
        ("taken_at<=2024-06", Between("taken_at", below="2024-07-01T00:00:00Z")),
        ("taken_at<=2024-06-01T12:30", Between("taken_at", below="2024-06-01T12:31:00Z")),
        ("taken_at<=2024-06-01 12", Between("taken_at", below="2024-06-01T13:00:00Z")),
        ("taken_at>=2024-06-01T12:30:15.5+02:00", Between("taken_at", least="2024-06-01T10:30:15.500000Z")),
        ("taken_at>=2024-06-01T12:30+05:30", Between("taken_at", least="2024-06-01T07:00:00Z")),
        ("taken_at>=2024-06-01T12:30-11:45", Between("taken_at", least="2024-06-02T00:15:00Z")),
        ("taken_at>=2024-06-01T12:30+12:59", Between("taken_at", least="2024-05-31T23:31:00Z")),
        (
            "taken_at=2024-06-01T12:30:15.25Z",
            Between("taken_at", least="2024-06-01T12:30:15.250000Z", below="2024-06-01T12:30:15.260000Z"),
        ),
        ("taken_at<=2024-06-01T12:30:15Z", Between("taken_at", below="2024-06-01T12:30:16Z")),
        ("taken_at>=9999", Between("taken_at", least="9999-01-01T00:00:00Z")),
        ("modified=2024-06-01", Between("modified", least=JUNE, below=JUNE + DAY)),
        ("modified>=2024-06-01T00:00+02:00", Between("modified", least=JUNE)),
        ("ingested_at>=2024-12-01", Between("ingested_at", least="2024-11-30T23:00:00Z")),
        ("ingested_at>=2024-12-01Z", Between("ingested_at", least="2024-12-01T00:00:00Z")),
        ("gps=48.85,2.35,10km", Within("gps", 48.85, 2.35, 10_000)),
        ("gps!=-48.85 , +2.35, 500 m", Not(Within("gps", -48.85, 2.35, 500))),
    ],
)
def test_what_is_typed_means(berlin: None, text: str, meant: Filter):
    if "01Z" in text:
        text = text.replace("01Z", "01T00Z")
    assert parse_where([text]) == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("camera", "'camera' is no condition; write a field, one of = != > >= < <=, and a value"),
        ("=3", "is no condition"),
        ("", "is no condition"),
        ("camra=x", "no picture has a field 'camra'; did you mean 'camera'? (fields: label, uri, "),
        ("size>3", "did you mean 'bytes'?"),
        ("Date>2024", "did you mean 'taken_at'?"),
        ("zzz=3", "no picture has a field 'zzz' (fields:"),
        ("taken_at=>2024", "=> in 'taken_at=>2024' is written >="),
        ("width=wide", "'width=wide': width is a number, not 'wide'"),
        ("width=3.5", "width is a whole number, not '3.5'"),
        ("width=9223372036854775808", "width is a whole number, not '9223372036854775808'"),
        ("taken_at=2024-06-01T12:00+02:60", "there is no such time as '2024-06-01T12:00+02:60'"),
        ("width>3,4", "only = and != take several values"),
        ("width>3*", "only = and != take patterns"),
        ("camera>x", "camera is not more or less than anything; use = or !="),
        ("label=a,", "there is nothing beside a comma"),
        ("bytes>10XB", "bytes is a size such as 500kB, 10MB or 1.5GiB, not '10XB'"),
        (f"bytes>{'9' * 400}.5", "bytes is never so large"),
        (f"bytes>{'9' * 5000}", "bytes is never so large"),
        ("taken_at=soon", "taken_at is a time such as 2024, 2024-06, 2024-06-01 or 2024-06-01T12:30, not 'soon'"),
        ("taken_at=2023-02-29", "there is no such time as '2023-02-29'"),
        ("taken_at>9999", "no time is after '9999'"),
        ("gps=48.85,2.35", "a place is a latitude, a longitude and a distance (in m, km or mi), as in 48.85,2.35,10km"),
        ("gps=91,0,1km", "a latitude is from -90 to 90 degrees, not 91"),
        ("gps=1,2,0km", "more than 0 meters"),
        ("gps>3", "gps is not more or less than anything"),
        ("copies=3", "copies is a list of files; copies=* is true where there are any"),
        ("cam\nera\x1b[31m=x", r"no picture has a field 'cam\nera\x1b[31m'"),
        ("camera=\udcff", "not valid UTF-8"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(text: str, message: str):
    with pytest.raises(FilterError) as raised:
        parse_where([text])
    assert message in str(raised.value)
    assert str(raised.value) == shown(str(raised.value))


def test_all_conditions_must_be_true():
    assert parse_where([]) is None
    assert parse_where(["width>1", "width<9"]) == AllOf((Between("width", above=1), Between("width", below=9)))
    assert parse_within("48.85,2.35,10km") == Within("gps", 48.85, 2.35, 10_000)
    with pytest.raises(FilterError, match="a list of texts"):
        parse_where("width>1")  # a text is a sequence of texts


#: A field of each type that a labels file may have.
COLUMNS = {
    **BY_NAME,
    "stars": Field("stars", ("integer", "float"), ""),
    "good": Field("good", ("bool",), ""),
    "seen": Field("seen", ("keyword", "datetime"), ""),
    "a=b": Field("a=b", ("keyword", "integer", "float"), ""),
}


@pytest.mark.parametrize(("truth", "texts"), [(True, ("true", "Yes", "1")), (False, ("FALSE", "no", "0"))])
def test_truth_is_said_in_several_words(truth: bool, texts: tuple[str, ...]):
    for text in texts:
        assert parse_where([f"good={text}"], COLUMNS) == Among("good", (truth,))


TEXTS = st.one_of(
    st.text(max_size=12),
    st.builds(
        "{}{}{}".format,
        st.sampled_from([*COLUMNS, '"a=b"', " width ", "camra"]),
        st.sampled_from(["=", "!=", ">", ">=", "<", "<=", "==", "=>", "", "!"]),
        st.text(st.sampled_from('0129-:.,*?[]!\\"/ TZ+kMGBm\n\x1b\udc80é'), max_size=14)
        | st.sampled_from(["2024-06-01", "2024-06-01T12:30:15.25-23:59", "0001", "9999-12-31", "1e30", "1e999", "10MB"])
        | st.sampled_from(["48.85,2.35,10km", "90,180,1m", "-90,-180,1e9km", "true", "no", "*", "**", '"a,b"', "a,b"]),
    ),
)


def filter_or_line(read: Callable[[], Filter | None]) -> Filter | str | None:
    try:
        return read()
    except FilterError as error:
        return str(error)


@given(texts=st.lists(TEXTS, max_size=3))
def test_any_text_gives_a_filter_that_json_keeps_or_one_line(texts: list[str]):
    read = filter_or_line(lambda: parse_where(texts, COLUMNS))
    if isinstance(read, str):
        assert read == shown(read)
        assert len(read) < 700
        return
    assert (read is None) == (not texts)
    if read is not None:
        assert from_json(json.loads(json.dumps(to_json(read)))) == read
        json.dumps(to_json(read)).encode()
        matches(read, {"label": 7, "camera": "a", "taken_at": "2024-06-01T12:00:00Z", "gps": {"lon": 0, "lat": 0}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["field", "in", "like", "all", "any", "not", "gte", "lt", "exists", "within", "lat", "x"]),
            inner,
            max_size=3,
        )
        | st.builds(lambda value: {"field": "a", "in": value}, inner)
    ),
    max_leaves=8,
)


@given(value=JSON)
def test_any_json_gives_a_filter_or_one_line(value: Any):
    read = filter_or_line(lambda: from_json(value))
    if isinstance(read, str):
        assert read == shown(read)
    else:
        assert read is not None
        assert from_json(to_json(read)) == read


def test_json_is_as_described():
    asked = AllOf((Between("bytes", least=1000, below=2000), Not(AnyOf((Like("folder", "a/**"), Exists("gps"))))))
    assert to_json(asked) == {
        "all": [
            {"field": "bytes", "gte": 1000, "lt": 2000},
            {"not": {"any": [{"field": "folder", "like": "a/**"}, {"field": "gps", "exists": True}]}},
        ]
    }
    assert from_json(to_json(asked)) == asked
    near = {"field": "gps", "within": {"lat": 48.85, "lon": 2.35, "meters": 500}}
    assert to_json(Within("gps", 48.85, 2.35, 500)) == near
    assert from_json(near) == Within("gps", 48.85, 2.35, 500)
    assert from_json({"field": "gps", "exists": False}) == Not(Exists("gps"))
    assert from_json({"field": "label", "in": [7, "cat"]}) == Among("label", (7, "cat"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"field": "gps", "exists": 1}, '"exists" is true or false, not 1'),
        ({"field": "gps", "within": [48.85, 2.35, 500]}, '"within" has the keys "lat", "lon" and "meters", not '),
        ({"field": "gps", "within": {"lat": 48.85, "lon": 2.35}}, '"within" has the keys "lat", "lon" and "meters"'),
        ({"field": "gps", "within": {"lat": 1, "lon": 2, "meters": 3}, "like": "a"}, "a filter is "),
        ({"all": {"field": "gps", "exists": True}}, '"all" is a list of filters, not '),
        ({"field": "gps"}, "a filter is "),
    ],
)
def test_json_of_another_shape_is_said_in_one_line(value: Any, message: str):
    with pytest.raises(FilterError) as raised:
        from_json(value)
    assert message in str(raised.value)


def test_json_is_not_read_deeper_than_a_stack_allows():
    deep: Any = {"field": "a", "exists": True}
    for _ in range(40):
        deep = {"not": deep}
    with pytest.raises(FilterError, match="more than 32 deep"):
        from_json(deep)


def stored(points: Collection) -> None:
    payloads: list[dict[str, Any]] = [
        {"uri": "a.png", "mood": "calm, warm", "stars": 3, "good": True, "seen": "2024-06-01"},
        {"uri": "b.png", "mood": "7", "stars": 4.5, "good": False, "seen": "2024-07-01", "a.b": ["x", "y"]},
        {"uri": "c.png", "mood": 7, "seen": "2025-01-01", "place": {"lon": 2.35, "lat": 48.85}, "more": {"x": 1}},
    ]
    points.upsert(ids(3), np.zeros((3, 4), np.float32), payloads)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ('mood="calm, warm"', "a"),
        ("mood=7", "bc"),
        ("mood=calm*", "a"),
        ("stars=3", "a"),
        ("stars=4.5", "b"),
        ("stars>=3.5", "b"),
        ("good=true", "a"),
        ("good=no", "b"),
        ("good!=true", "bc"),
        ("seen>=2024-07", "bc"),
        ("seen=2024", "ab"),
        ("seen=2024-06-01", "a"),
        ("a.b=y", "b"),
        ("place=48.85,2.35,1km", "c"),
        ("more=*", "c"),
        (["mood=7", "stars>1"], "b"),
        ({"mood": [7]}, "c"),
        (Like("uri", "[ab].png"), "ab"),
        (None, "abc"),
    ],
)
def test_columns_from_elsewhere_are_filtered_by_their_types(points: Collection, where: Any, found: str):
    stored(points)
    read = read_where(where, points)
    assert sorted(p["uri"][0] for page in points.scroll(where=read) for p in page.payloads) == list(found)


def test_a_typo_lists_the_fields_that_points_have(points: Collection):
    stored(points)
    with pytest.raises(FilterError, match=r"'moods'; did you mean 'mood'\? \(fields: uri, a.b, good, m.*, stars\)"):
        read_where("moods=7", points)
    with pytest.raises(FilterError, match=r"no picture has a field 'a\\b'; did"):
        read_where("a\\b=7", points)
    assert len(StoredFields(points)) == 8
    points.delete(ids(3))
    with pytest.raises(FilterError, match="no picture has a field 'mood'"):
        read_where("mood=7", points)
    fill(points, np.zeros((1, 4), np.float32))
    assert read_where("camera=x", points) == Among("camera", ("x",))
