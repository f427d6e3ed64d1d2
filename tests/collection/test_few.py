"""A server is asked how many points pass a filter only where that matters, and once for each filter."""

from typing import Any

from cbir.collection.layout import COMPARED
from cbir.collection.served.few import Few

DIMENSION = 100
MOST = COMPARED // DIMENSION


def filter_of(label: int) -> dict[str, Any]:
    """Make a filter, each time another object."""
    return {"must": [{"key": "label", "match": {"any": [label]}}]}


#: How many points have each label.
PASSING = [MOST - 1, MOST, MOST + 1, 10 * MOST]


def test_filters_are_counted_once_each_and_only_in_a_large_index():
    size, asked, counted = MOST, list[int](), list[int]()

    def indexed() -> int:
        asked.append(size)
        return size

    def count(passing: Any) -> int:
        counted.append(passing["must"][0]["match"]["any"][0])
        return PASSING[counted[-1]]

    few = Few(DIMENSION, size, indexed, count)
    rows = [filter_of(label) for label in (0, 1, 2, 3, 0, 2)]
    assert few.of([]) == []
    assert few.of([None, *rows]) == [False, *[True] * 6], "all points of a small index are few"
    assert (asked, counted) == ([], [])

    size = 100 * MOST
    few.forget()
    assert few.of([None, *rows]) == [False, True, True, False, False, True, False]
    assert few.of([rows[0]] * 3) == [True] * 3
    assert (asked, sorted(counted)) == ([size], [0, 0, 1, 2, 3])
    assert few.of([None, None]) == [False, False]
    assert len(counted) == 5
