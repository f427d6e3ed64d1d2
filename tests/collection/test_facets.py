"""Facets: both engines count what plain Python counts."""

import collections
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.collection.fields import BY_NAME, Field
from cbir.collection.filter import Exists, FilterError
from cbir.collection.groups import Grouping
from cbir.collection.interface import Collection
from cbir.collection.point import Label
from cbir.collection.stored_fields import read_where
from tests.collection.matching import everywhere
from tests.collection.sample import ids
from tests.collection.test_filter import payloads

FIELDS = ("label", "uri", "folder", "name", "source", "camera", "width", "taken_at", "mood", "é ö", "a.b", "stars[]")


def counted(stored: list[dict[str, Any]], field: str) -> dict[tuple[type, Label], int]:
    """Count in plain Python."""
    values = [{(type(value), value) for value in everywhere(each, field)} for each in stored]
    return dict(collections.Counter(value for each in values for value in each if value[0] in (int, str, bool)))


@given(stored=st.lists(payloads(), min_size=1, max_size=8), wide=st.booleans())
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_facets_are_those_of_plain_python(points: Collection, stored: list[dict[str, Any]], wide: bool):
    points.delete(ids(8))
    points.upsert(ids(len(stored)), np.zeros((len(stored), 4), np.float32), stored)
    where = None if wide else Exists("camera")
    passing = [each for each in stored if wide or "camera" in each]
    for field in FIELDS:
        found = points.facet(field, where=where)
        assert {(type(value), value): count for value, count in found} == counted(passing, field)
        assert [count for _, count in found] == sorted((count for _, count in found), reverse=True)
        assert points.facet(field, where=where, limit=2) == found[:2]


WAYS = [
    *((field, "value", "") for field in ("label", "uri", "folder", "name", "source", "camera", "a.b")),
    *((field, by, "") for field in ("taken_at", "modified") for by in ("year", "month", "day")),
    *((field, "part", below) for field in ("folder", "uri") for below in ("", "a", "é [b]", "é [b]/*")),
]


@given(stored=st.lists(payloads(), min_size=1, max_size=8), way=st.sampled_from(WAYS))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_condition_of_a_count_finds_as_many(points: Collection, stored: list[dict[str, Any]], way: Any):
    points.delete(ids(8))
    points.upsert(ids(len(stored)), np.zeros((len(stored), 4), np.float32), stored)
    field, by, below = way
    grouping = Grouping(BY_NAME.get(field, Field(field, ("keyword",), "")), by, below)
    found = points.facet(field, group=grouping.group)
    for value, count in found:
        assert points.count(where=read_where(grouping.condition(value), points)) == count
    if below == "":
        assert sum(count for _, count in found) >= points.count(where=Exists(field))


def test_paths_that_begin_with_a_slash_have_a_first_part(points: Collection):
    folders = ["", "/", "//", "/a", "/a/b", "/ab", "a"]
    points.upsert(ids(7), np.zeros((7, 4), np.float32), [{"folder": folder} for folder in folders])
    by_part = Grouping(BY_NAME["folder"], "part")
    found = dict(points.facet("folder", group=by_part.group))
    assert found == {"": 1, "/": 2, "/a": 2, "/ab": 1, "a": 1}
    for value, count in found.items():
        assert points.count(where=read_where(by_part.condition(value), points)) == count
    assert dict(points.facet("folder", group=Grouping(BY_NAME["folder"], "part", "/a").group)) == {"/a": 1, "/a/b": 1}


def test_values_are_grouped_by_time_and_by_folder(points: Collection):
    folders = ["", "a", "a/b", "a/b/c", "a/bc", "ab"]
    times = [f"{when}T23:30:00Z" for when in ("2023-12-31", "2024-01-01", "2024-01-31", "2024-02-01")] + ["soon", "no"]
    stored = [{"folder": folder, "taken_at": time} for folder, time in zip(folders, times, strict=True)]
    points.upsert(ids(6), np.zeros((6, 4), np.float32), stored)

    def found(field: str, by: Any, below: str = "") -> dict[Label, int]:
        return dict(points.facet(field, group=Grouping(BY_NAME[field], by, below).group))

    assert found("folder", "part") == {"": 1, "a": 4, "ab": 1}
    assert found("folder", "part", "a") == {"a": 1, "a/b": 2, "a/bc": 1}
    assert found("taken_at", "year") == {"2024": 3, "2023": 1}
    assert found("taken_at", "month") == {"2024-01": 2, "2023-12": 1, "2024-02": 1}
    assert found("taken_at", "day")["2024-01-31"] == 1


@pytest.mark.parametrize(
    ("field", "by", "below", "why"),
    [
        ("gps", "value", "", "not at all"),
        ("taken_at", "value", "", "only by year, month, day"),
        ("label", "part", "", "only by value"),
        ("folder", "value", "a", "below is for"),
    ],
)
def test_what_cannot_be_counted_is_refused(field: str, by: Any, below: str, why: str):
    with pytest.raises(FilterError, match=why):
        Grouping(BY_NAME[field], by, below)


def test_one_is_not_true_and_a_folder_may_begin_with_a_space(points: Collection):
    stored = [{"mood": True}, {"mood": 1}, {"mood": [True, 1, 1.5, None]}, {"folder": " a, b/c"}]
    points.upsert(ids(4), np.zeros((4, 4), np.float32), stored)
    assert [(str(value), count) for value, count in points.facet("mood")] == [("1", 2), ("True", 2)]
    grouping = Grouping(BY_NAME["folder"], "part")
    assert points.facet("folder", group=grouping.group) == [(" a, b", 1)]
    assert points.count(where=read_where(grouping.condition(" a, b"), points)) == 1
