"""The bounded, ordered, cancellable map."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cbir.core import workers
from cbir.core.interruptible import interrupts
from cbir.core.workers import ordered_map, portions, prefetched, usable_cores


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


def test_results_are_bounded_by_their_weight():
    taken = []

    def items() -> Iterator[int]:
        for weight in (3, 3, 3, 20, 1, 1):
            taken.append(weight)
            yield weight

    results = ordered_map(lambda number: number, items(), threads=2, ahead=5, weigh=lambda item: item, most_weight=7)
    assert next(results) == 3
    assert taken == [3, 3, 3], "a third one would be too much, and is begun once the first is taken"
    assert next(results) == 3
    assert taken == [3, 3, 3, 20]
    assert list(results) == [3, 20, 1, 1], "what weighs too much is done, alone"


def test_portions_end_at_their_number_or_their_weight():
    assert list(portions(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(portions([1, 1, 9, 1, 4, 4, 1], 3, weigh=lambda item: item, heavy=8)) == [[1, 1, 9], [1, 4, 4], [1]]
    assert list(portions([9, 9], 3, weigh=lambda item: item, heavy=8)) == [[9], [9]]


@pytest.mark.parametrize(
    ("quota", "most"), [("max 100000", 1000), ("50000 100000", 1), ("150000 100000", 2), ("nonsense", 1000)]
)
def test_cores_are_those_that_a_container_may_use(
    quota: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (file := tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(workers, "_QUOTA", file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(1000), raising=False)
    assert usable_cores() == most


def test_the_next_item_is_fetched_while_one_is_in_use_and_errors_come_at_their_place():
    fetched: list[int] = []

    def items() -> Iterator[int]:
        for number in range(4):
            fetched.append(number)
            yield number
        raise ValueError("after 4")

    taken = prefetched(items())
    assert next(taken) == 0
    deadline = time.monotonic() + 10
    while fetched != [0, 1] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert fetched == [0, 1]
    assert [next(taken) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="after 4"):
        next(taken)
    assert list(prefetched([])) == []


class _Hung:
    """A server that never answers."""

    def __init__(self) -> None:
        self.interrupted = threading.Event()
        interrupts(self)

    def interrupt(self) -> None:
        self.interrupted.set()

    def call(self, *_: object) -> None:
        assert self.interrupted.wait(60)


@pytest.mark.parametrize("over", [ordered_map, prefetched])
def test_who_stops_does_not_wait_for_a_server_that_hangs(over: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "GRACE", 0.1)
    hung = _Hung()

    def call(item: int) -> int:
        if item:
            hung.call()
        return item

    results = over(call, range(3)) if over is ordered_map else over(map(call, range(3)))
    with pytest.raises(KeyboardInterrupt), closing(results):
        for _ in results:
            time.sleep(0.1)  # so that the next call begins
            raise KeyboardInterrupt
    assert hung.interrupted.is_set()


def test_calls_in_work_are_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "GRACE", 0.01)
    hung = _Hung()
    begun, done = threading.Event(), []

    def call(item: int) -> None:
        if item:
            begun.set()
            time.sleep(0.2)
        done.append(item)

    with closing(ordered_map(call, range(2), threads=2)) as results:
        next(results)
        assert begun.wait(10)
    assert done == [0, 1]
    assert not hung.interrupted.is_set()
