"""Pictures are streamed to whoever learns from them: few at a time, each opened once, and known again afterwards."""

import hashlib
import io
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cbir.ingest.decode import CHUNK, Inputs, portions_ahead
from cbir.ingest.examples import ExampleStream
from cbir.ingest.sample import Sample
from cbir.ingest.sources.source import Item, Source
from cbir.model.border import background
from cbir.model.errors import ImageError
from cbir.model.kind import Kind
from cbir.model.preprocessing import Preprocessing
from cbir.model.suited import Traits

INPUT = Preprocessing(4, 4, 3)
#: Processes, for which there are as many threads.
PROCESSES = 3
#: A block, and what threads may have opened besides: so many portions are waiting, one for each is in work.
MOST_HELD = 64 + CHUNK * (1 + portions_ahead(PROCESSES, Inputs.only(INPUT)) + PROCESSES)


def pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, INPUT.shape, dtype=np.uint8)


@dataclass
class Numbered(Source):
    """Pictures, or their files, that count how often each is opened."""

    count: int
    unreadable: tuple[int, ...] = ()
    files: bool = False
    opened: Counter[int] = field(default_factory=Counter)

    name = "numbered"

    def __len__(self) -> int:
        return self.count

    def items(self) -> Iterator[Item]:
        for number in range(self.count):
            content = partial(self._content, number) if self.files else None
            yield Item(f"numbered:{number}", None, self.name, partial(self._open, number), content=content)

    def queries(self) -> list[Item]:
        return []

    def _open(self, number: int) -> Image.Image:
        self.opened[number] += 1
        if number in self.unreadable:
            raise ImageError("no picture")
        return Image.fromarray(pixels(number))

    def _content(self, number: int) -> bytes:
        file = io.BytesIO()
        self._open(number).save(file, "PNG")
        return file.getvalue()


def sample(preprocessing: Preprocessing = INPUT, **known: Any) -> Sample:
    kind = Kind("any", "", __name__)
    return Sample(kind, Traits(False, True), INPUT, preprocessing, known.get("pixels", {}), known.get("hashes", {}))


def numbers(source: Numbered, blocks: Iterator[np.ndarray]) -> list[int]:
    """Return which of a source's pictures the blocks hold."""
    known = {pixels(number).tobytes(): number for number in range(source.count)}
    return [known[picture.tobytes()] for block in blocks for picture in block]


def test_each_picture_is_opened_once_and_comes_in_its_order():
    source = Numbered(150)
    told: list[tuple[int, int | None]] = []
    stream = ExampleStream(source, 150, 1000, sample(), lambda _, done, total: told.append((done, total)))
    assert numbers(source, stream.blocks()) == list(range(150))
    assert source.opened == Counter(range(150))
    assert stream.read == 150
    assert told[-1] == (150, 150)
    assert all(before[0] <= after[0] for before, after in pairwise(told))


def test_pictures_of_the_sample_are_not_opened_again():
    source = Numbered(20)
    known = {0: pixels(0), 10: pixels(10), 15: None}
    stream = ExampleStream(source, 20, 1000, sample(pixels=known, hashes={10: "its hash"}))
    assert numbers(source, stream.blocks()) == [n for n in range(20) if n != 15]
    assert not {0, 10, 15} & source.opened.keys()
    made = stream.made(np.zeros((19, 1), np.float32))
    assert (made["its hash"].sha256, made["numbered:0"].sha256, made["numbered:1"].sha256) == ("its hash", None, None)


def test_only_so_many_pictures_are_ingested():
    source = Numbered(100)
    known = {n: pixels(n) for n in range(0, 100, 7)}
    assert numbers(source, ExampleStream(source, 10, 1000, sample(pixels=known)).blocks()) == list(range(10))
    assert max(source.opened) == 9


def test_of_too_many_the_same_ones_are_drawn_each_time():
    first, again = Numbered(1000), Numbered(1000)
    drawn = numbers(first, ExampleStream(first, 1000, 100, sample()).blocks())
    assert drawn == numbers(again, ExampleStream(again, 1000, 100, sample()).blocks())
    assert drawn == sorted(first.opened)
    assert len(set(drawn)) == 100
    assert all(20 <= sum(half * 500 <= n < (half + 1) * 500 for n in drawn) <= 80 for half in (0, 1))


@pytest.mark.parametrize("files", [True, False])
def test_what_learning_made_belongs_to_its_picture(files: bool):
    source = Numbered(90, unreadable=(0, 64, 89), files=files)
    stream = ExampleStream(source, 90, 1000, sample())
    readable = [n for n in range(90) if n not in source.unreadable]
    assert numbers(source, stream.blocks()) == readable
    features = np.array(readable, np.float32)[:, None]
    made = stream.made(features)
    assert len(made) == stream.read == 87
    for number, item in enumerate(source.items()):
        if number in source.unreadable:
            assert item.uri not in made
            continue
        expected = hashlib.sha256(item.content()).hexdigest() if files else None
        found = made[expected or item.uri]
        assert found.feature == number
        assert found.brightness == background(pixels(number)[None])[0]
        assert found.sha256 == expected
    assert stream.made(None) == {}
    with pytest.raises(ValueError, match="zip"):
        stream.made(features[1:])


def test_the_digest_follows_from_all_pixels():
    def digest(*known: int) -> str:
        source = Numbered(100)
        stream = ExampleStream(source, 100, 1000, sample(pixels={99: pixels(known[0])} if known else {}))
        assert sum(map(len, stream.blocks())) == 100
        return stream.digest

    assert digest() == digest(99) != digest(98)


def test_few_pictures_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_PROCESSES", str(PROCESSES))
    made: list[weakref.ref[np.ndarray]] = []

    class Watched(Preprocessing):
        def pixels(self, image: Image.Image) -> np.ndarray:
            array = super().pixels(image).copy()
            made.append(weakref.ref(array))
            return array

    source = Numbered(1500)
    blocks: list[weakref.ref[np.ndarray]] = []
    taken = most = 0
    for block in ExampleStream(source, 1500, 2000, sample(Watched(4, 4, 3))).blocks():
        blocks.append(weakref.ref(block))
        taken += len(block)
        assert source.opened.total() <= taken + MOST_HELD
        assert len(block) <= 64
        most = max(most, sum(each() is not None for each in made))
        assert sum(each() is not None for each in blocks) <= 2
    assert taken == 1500
    assert most <= MOST_HELD
