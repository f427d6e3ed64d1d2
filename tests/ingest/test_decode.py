"""Pictures become pixels in worker processes: one that crashes its decoder or never ends is one bad picture."""

import hashlib
import io
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from cbir.ingest import decode
from cbir.ingest.decode import CHUNK, Decoders, Inputs, Seen, open_items
from cbir.ingest.sources.source import Item
from cbir.model.errors import ImageError
from cbir.model.preprocessing import Preprocessing

INPUT, GREY = Preprocessing(8, 8, 3), Preprocessing(8, 8, 1)
CRASHES, HANGS = (13, 13), (17, 17)


class Treacherous(Preprocessing):
    """Stands for a decoder: pictures of one size crash it, and those of another it never finishes."""

    def pixels(self, image: Image.Image) -> np.ndarray:
        if image.size == CRASHES:
            signal.raise_signal(signal.SIGSEGV)
        if image.size == HANGS:
            time.sleep(1_000_000)
        return super().pixels(image)


def png(size: tuple[int, int] = (10, 6), mode: str = "RGB", color: object = "red") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, "PNG")  # type: ignore[arg-type]
    return file.getvalue()


def item(name: str, content: bytes) -> Item:
    return Item(name, None, "made", partial(Image.open, io.BytesIO(content)), partial(bytes, content))


def numbered(*contents: bytes) -> Iterator[tuple[int, Item]]:
    return enumerate(item(f"{n}.png", content) for n, content in enumerate(contents))


@pytest.mark.parametrize("processes", ["0", "2"])
def test_pixels_details_and_hash(processes: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_PROCESSES", processes)
    content = png()
    with closing(open_items(numbered(content, b"no picture"), Inputs.only(INPUT))) as opened:
        (number, same, good), (_, _, bad) = opened
    assert (number, same.uri) == (0, "0.png")
    assert good is not None
    assert good.seen is not None
    assert not good.problem
    assert np.array_equal(good.seen.pixels[INPUT], INPUT.pixels(Image.open(io.BytesIO(content))))
    assert (good.seen.details.width, good.seen.details.height, good.seen.details.format) == (10, 6, "PNG")
    assert good.sha256 == hashlib.sha256(content).hexdigest()
    assert bad is not None
    assert bad.seen is None
    assert "1.png is not a picture" in bad.problem
    assert bad.sha256 == hashlib.sha256(b"no picture").hexdigest()


def test_all_come_in_their_order_and_what_is_known_is_not_opened():
    contents = [png((n + 1, 1)) for n in range(50)]
    with closing(open_items(numbered(*contents), Inputs.only(INPUT), known=range(20, 40))) as opened:
        found = [(number, opened and opened.seen and opened.seen.details.width) for number, _, opened in opened]
    assert found == [(n, None if 20 <= n < 40 else n + 1) for n in range(50)]


def test_items_that_are_no_files_are_opened_here():
    here = Item("digits:0", 1, "digits", lambda: Image.new("L", (28, 28)))
    with closing(open_items([(7, here)], Inputs.only(GREY))) as opened:
        ((number, _, found),) = opened
    assert found is not None
    assert found.seen is not None
    assert (number, found.sha256, found.seen.details.width, found.seen.grey) == (7, None, 28, True)


def test_what_cannot_be_read_is_a_problem():
    def vanished() -> bytes:
        raise ImageError("0.png does not exist")

    gone = Item("0.png", None, "made", lambda: Image.new("L", (1, 1)), vanished)
    with closing(open_items([(0, gone), *numbered(png())], Inputs.only(INPUT))) as opened:
        (_, _, first), (_, _, second) = opened
    assert first is not None
    assert first.problem == "0.png does not exist"
    assert second is not None
    assert second.seen is not None


def test_whether_it_has_colour_is_asked_where_it_matters():
    grey_or_not = Inputs(of_colour=(INPUT,), of_grey=(INPUT, GREY))
    files = [(png(), "red"), (png(color="grey"), "grey"), (png(mode="L", color=9), "L")]
    with Decoders() as decoders:
        seen = decoders.decode(files, grey_or_not)
        assert [isinstance(each, Seen) and (each.grey, set(each.pixels)) for each in seen] == [
            (False, {INPUT}),
            (True, {INPUT, GREY}),
            (True, {INPUT, GREY}),
        ]
        assert [isinstance(each, Seen) and each.grey for each in decoders.decode(files, Inputs.only(INPUT))] == [
            None
        ] * 3
        greys = decoders.decode(files, Inputs.only(GREY))
        assert [isinstance(each, Seen) and each.grey for each in greys] == [False, True, True]


def test_one_that_crashes_its_decoder_and_one_that_never_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode, "_SECONDS_TOGETHER", 1.0)
    monkeypatch.setattr(decode, "_SECONDS_ALONE", 1.0)
    monkeypatch.setenv("CBIR_PROCESSES", "2")
    sizes = [(n + 20, 5) for n in range(3 * CHUNK)]
    sizes[3], sizes[CHUNK + 2], sizes[CHUNK + 4] = CRASHES, HANGS, CRASHES
    treacherous = Treacherous(8, 8, 3)
    with closing(open_items(numbered(*map(png, sizes)), Inputs.only(treacherous))) as opened:
        found = [found for _, _, found in opened]
    problems = {number: each.problem for number, each in enumerate(found) if each and each.problem}
    assert problems == {
        3: "3.png cannot be decoded: its process crashed (SIGSEGV)",
        CHUNK + 2: f"{CHUNK + 2}.png cannot be decoded: it takes more than 1 seconds",
        CHUNK + 4: f"{CHUNK + 4}.png cannot be decoded: its process crashed (SIGSEGV)",
    }
    assert all(each and each.seen for number, each in enumerate(found) if number not in problems)


def test_closing_does_not_wait_for_what_is_in_work(monkeypatch: pytest.MonkeyPatch):
    """As after Ctrl-C, when none of these would ever end."""
    monkeypatch.setenv("CBIR_PROCESSES", "2")
    monkeypatch.setattr(decode, "CHUNK", 1)
    files = numbered(png(), *(png(HANGS) for _ in range(200)))
    opened = open_items(files, Inputs.only(Treacherous(8, 8, 3)))
    first = next(opened)[2]
    assert first is not None
    assert first.seen is not None
    closed = threading.Thread(target=opened.close)
    closed.start()
    closed.join(60)
    assert not closed.is_alive()
    assert next(files)[0] < 100


def test_files_in_work_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode, "held_bytes", lambda _: 10 * 1000)
    taken: list[int] = []

    def items() -> Iterator[tuple[int, Item]]:
        for number in range(200):
            taken.append(number)
            content = png((number + 1, 1))
            yield number, replace(item(f"{number}", content), payload={"bytes": 1000})

    with closing(open_items(items(), Inputs.only(INPUT))) as opened:
        for done, _ in enumerate(opened, 1):
            assert len(taken) <= done + 10 + CHUNK
    assert len(taken) == 200
