"""Items are read in their order, in batches of bounded size, and no content is decoded twice."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cbir.collection.place import Place, with_places
from cbir.ingest import read as reading
from cbir.ingest.decode import CHUNK
from cbir.ingest.places import Places
from cbir.ingest.read import BATCH, Batch, read, read_pixels
from cbir.ingest.sources.source import Item
from cbir.ingest.sync import Status
from cbir.model.errors import ImageError
from cbir.model.preprocessing import Preprocessing
from tests.ingest.kept import table

INPUT = Preprocessing(2, 2, 1)


def item(number: int, *, readable: bool = True) -> Item:
    def open_() -> Image.Image:
        if not readable:
            raise ImageError(f"{number} cannot be read")
        return Image.new("L", (2, 2), number % 256)

    return Item(f"all:{number}", None, "all", open_)


def file(number: int, value: int | None) -> Item:
    """Return a file that shows a value; None: no picture."""
    content = io.BytesIO()
    if value is not None:
        Image.new("L", (2, 2), value).save(content, "PNG")
    return Item(f"{number}.png", None, "files", Image.new, content=content.getvalue)


def kinds_of(batches: list[Batch]) -> list[tuple[int, str]]:
    """Return the numbers of items, and what became of each."""
    found = []
    for batch in batches:
        found += [(fresh.item, "fresh") for fresh in batch.fresh]
        found += [(known.item, "known") for known in batch.known]
        found += [(each, "described") for each in batch.described]
        found += [(failed.item, "failed") for failed in batch.failed]
    return [(int(each.uri.partition(".")[0].rpartition(":")[2]), what) for each, what in found]


@settings(max_examples=30)
@given(kinds=st.lists(st.sampled_from(["fresh", "failed", "described"]), max_size=700))
def test_each_item_is_in_one_place_and_all_are_in_order(kinds: list[str]):
    work = [
        (item(n, readable=kind != "failed"), Status.DESCRIBED if kind == "described" else Status.READ)
        for n, kind in enumerate(kinds)
    ]
    with Places() as places:
        batches = list(read(work, INPUT, places))
    assert sum(map(len, batches)) == len(kinds)
    found = kinds_of(batches)
    assert sorted(found) == list(enumerate(kinds))
    for kind in set(kinds):
        numbers = [n for n, what in found if what == kind]
        assert numbers == sorted(numbers)
    numbers = [n for n, what in found if what == "fresh"]
    assert [int(pixels[0, 0, 0]) for batch in batches for pixels in batch.pixels] == [n % 256 for n in numbers]


@settings(max_examples=30)
@given(values=st.lists(st.none() | st.integers(0, 9), max_size=200))
def test_of_files_with_one_content_the_first_is_decoded(values: list[int | None]):
    with Places() as places:
        found = dict(kinds_of(list(read([(file(n, v), Status.READ) for n, v in enumerate(values)], INPUT, places))))
    firsts = {value: n for n, value in reversed(list(enumerate(values)))}
    for n, value in enumerate(values):
        first = firsts[value] == n
        # An empty file that is met before it is known that the first one failed waits for it.
        assert found[n] == ("fresh" if first else "known") if value is not None else found[n] in ("failed", "known")


@pytest.mark.parametrize(("status", "most"), [(Status.READ, BATCH + 16), (Status.DESCRIBED, 4096 + 16)])
def test_batches_are_bounded_and_taken_as_they_are_needed(status: Status, most: int):
    taken = 0

    def endless() -> Iterator[tuple[Item, Status]]:
        nonlocal taken
        while True:
            taken += 1
            yield item(taken), status

    with Places() as places:
        batches = read(endless(), INPUT, places)
        assert len(next(batches)) <= most
        assert taken <= most + 5 * BATCH
        batches.close()


def test_few_items_are_taken_ahead_of_the_batch_that_is_in_use(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "_HASHED_AHEAD", 2)
    monkeypatch.setattr(reading, "portions_ahead", lambda threads, _: 3)
    taken = 0

    def endless() -> Iterator[tuple[Item, Status]]:
        nonlocal taken
        while True:
            taken += 1
            yield item(taken), Status.READ

    with Places() as places, closing(read(endless(), INPUT, places)) as batches:
        used = 0
        for _ in range(3):
            used += len(next(batches))
            assert used < taken <= used + (2 + 3) * CHUNK


def test_few_bytes_of_files_are_taken_ahead(monkeypatch: pytest.MonkeyPatch):
    """Some are hashed and some decoded, each kind of at most so many bytes."""
    monkeypatch.setattr(reading, "held_bytes", lambda _: 10 * 1000)
    monkeypatch.setattr(reading, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(reading, "_HASHED_AHEAD", 100)
    monkeypatch.setattr(reading, "portions_ahead", lambda threads, _: 100)
    png, taken = file(0, 0).content(), 0

    def endless() -> Iterator[tuple[Item, Status]]:
        nonlocal taken
        while True:
            taken += 1
            content = (png + taken.to_bytes(4)).ljust(1000)
            yield replace(file(taken, 0), content=partial(bytes, content), payload={"bytes": 1000}), Status.READ

    with Places() as places, closing(read(endless(), INPUT, places)) as batches:
        used = len(next(batches))
        assert used < taken <= used + 20 + 2


@pytest.mark.parametrize(("later", "same"), [(0, True), (1, False)])
def test_what_the_first_cbir_stored_is_known_by_size_and_time(later: int, same: bool):
    """It stored no hashes, and times in seconds."""
    new = file(1, 7)
    size, seconds = len(new.content()), 1_500_000_000
    new = replace(new, payload={"bytes": size, "modified": seconds * 10**9 + 123})
    place = Place("files", "1.png", (size, seconds + later, None, None))
    with table({"old": with_places({"format": "PNG"}, [place])})[1] as places:
        assert kinds_of(list(read([(new, Status.READ)], INPUT, places))) == [(1, "known" if same else "fresh")]
        content = places.content(hashlib.sha256(new.content()).hexdigest())
        assert content is not None
        assert (content.id == "old") == same


def test_reading_reports_each_batch_and_the_end():
    seen: list[tuple[object, ...]] = []
    total = BATCH + 3
    for _ in read_pixels(map(item, range(total)), INPUT, total=total, progress=lambda *now: seen.append(now)):
        pass
    assert seen == [("read", BATCH, total), ("read", total, total)]


def test_what_is_known_is_not_opened_again():
    items = [item(n, readable=n > 1) for n in range(5)]
    known = {0: np.full((2, 2, 1), 9, np.uint8), 1: None}
    found = list(read_pixels(items, INPUT, known))
    assert [each.uri for each, _ in found] == [each.uri for each in items]
    assert [None if pixels is None else int(pixels[0, 0, 0]) for _, pixels in found] == [9, None, 2, 3, 4]
