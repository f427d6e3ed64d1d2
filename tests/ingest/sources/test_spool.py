"""A stream kept for a while: any record in any order, read as seldom as may be."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.ingest.sources.spool import Spool


@settings(max_examples=60)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=40), st.integers(1, 900), st.randoms())
def test_a_spool_gives_the_records_in_any_order(sizes: list[int], most: int, random):
    records = [bytes([number]) * size for number, size in enumerate(sizes)]
    begun = []

    def begin(number: int) -> Iterator[tuple[int, bytes]]:
        begun.append(number)
        return iter(enumerate(records))

    spool = Spool(begin, most)
    asked = [random.randrange(len(records)) for _ in range(60)]
    assert [spool.get(number) for number in asked] == [records[number] for number in asked]
    assert spool.get(len(records)) is None
    spool.close()
    assert spool.get(0) == records[0]


def test_a_spool_begins_near_what_is_far_ahead():
    passed: list[int] = []
    tens = lambda number: ((n, bytes([n])) for n in range(number // 10 * 10, 200) if passed.append(n) is None)  # noqa: E731
    spool = Spool(tens, jump=10)
    assert [spool.get(number) for number in (3, 152, 155, 4, 3)] == [bytes([n]) for n in (3, 152, 155, 4, 3)]
    assert passed == [*range(4), *range(150, 156), *range(5)]
    spool.close()


def test_threads_that_are_some_records_apart_read_the_stream_once():
    begun = []

    def begin(number: int) -> Iterator[tuple[int, bytes]]:
        begun.append(number)
        return ((n, n.to_bytes(4, "big") * 100) for n in range(2000))

    def one(chunk: Sequence[int]) -> bool:
        return all(spool.get(n) == n.to_bytes(4, "big") * 100 for n in chunk)

    spool = Spool(begin)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, [range(start, start + 16) for start in range(0, 2000, 16)]))
    assert len(begun) == 1
    spool.close()
