"""The bounded, ordered, cancellable map."""

import threading
from collections.abc import Iterator

import pytest

from cbir.core.workers import ordered_map


def test_results_come_in_order_whatever_takes_longest():
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(10)
        if number == 1:
            first_may_end.set()
        return number

    assert list(ordered_map(work, range(20), threads=2)) == list(range(20))


def test_items_are_taken_only_as_results_are_consumed():
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = ordered_map(lambda number: number, items(), threads=2, ahead=3)
    next(results)
    assert len(taken) == 4
    results.close()
    assert len(taken) == 4


def test_an_error_is_raised_at_its_place_and_cancels_what_waits():
    done = []

    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        done.append(number)
        return number

    results = ordered_map(work, range(1000), threads=1, ahead=5)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert len(done) < 10


def test_closing_cancels_what_has_not_begun():
    go, begun = threading.Event(), []

    def work(number: int) -> int:
        begun.append(number)
        if number:
            assert go.wait(10)
        return number

    results = ordered_map(work, range(50), threads=1, ahead=20)
    assert next(results) == 0
    threading.Timer(0.2, go.set).start()
    results.close()
    assert len(begun) <= 2
