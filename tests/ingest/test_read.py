"""Items are read in their order, in batches of bounded size, whatever has to be done about each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cbir.ingest.read import BATCH, read, read_pixels
from cbir.ingest.sources.source import Item
from cbir.ingest.sync import Compared, Status
from cbir.model.errors import ImageError
from cbir.model.preprocessing import Preprocessing

INPUT = Preprocessing(2, 2, 1)


def item(number: int, *, readable: bool = True) -> Item:
    def open_() -> Image.Image:
        if not readable:
            raise ImageError(f"{number} cannot be read")
        return Image.new("L", (2, 2), number % 256)

    return Item(f"all:{number}", None, "all", open_)


@settings(deadline=None, max_examples=30)
@given(kinds=st.lists(st.sampled_from(["changed", "unreadable", "updated", "unchanged"]), max_size=700))
def test_each_item_is_in_one_place_and_all_are_in_order(kinds: list[str]):
    status = {"unchanged": Status.UNCHANGED, "updated": Status.UPDATED}
    compared = [
        Compared(item(n, readable=kind != "unreadable"), status.get(kind, Status.CHANGED), {"code": n})
        for n, kind in enumerate(kinds)
    ]
    batches = list(read(compared, INPUT))
    assert sum(map(len, batches)) == len(kinds)
    numbers = [int(each["uri"].split(":")[1]) for batch in batches for each in batch.payloads]
    assert numbers == [n for n, kind in enumerate(kinds) if kind == "changed"]
    assert [int(pixels[0, 0, 0]) for batch in batches for pixels in batch.pixels] == [n % 256 for n in numbers]
    updated = [payload["code"] for batch in batches for _, payload in batch.updated]
    assert updated == [n for n, kind in enumerate(kinds) if kind == "updated"]
    unreadable = [each.uri for batch in batches for each, _ in batch.unreadable]
    assert unreadable == [f"all:{n}" for n, kind in enumerate(kinds) if kind == "unreadable"]


@pytest.mark.parametrize(("status", "most"), [(Status.CHANGED, BATCH + 16), (Status.UNCHANGED, 4096 + 16)])
def test_batches_are_bounded_and_taken_as_they_are_needed(status: Status, most: int):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield Compared(item(taken), status)

    batches = read(endless(), INPUT)
    assert len(next(batches)) <= most
    assert taken <= most + 5 * BATCH
    batches.close()


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
