"""A sample is fair whatever order the source has, and chooses encoder and input; each picture is opened once."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from PIL import Image

from cbir.ingest.sample import take_sample
from cbir.ingest.sources.source import Item, Source
from cbir.model.errors import ImageError, ModelError
from cbir.model.preprocessing import Preprocessing
from cbir.model.registry import kind_of


def jpeg(color: str | int, size: tuple[int, int] = (100, 80)) -> bytes:
    file = io.BytesIO()
    Image.new("L" if isinstance(color, int) else "RGB", size, color).save(file, "JPEG")
    return file.getvalue()


class Made(Source):
    """Files made by their number, and how often each was read."""

    def __init__(self, count: int, content: Callable[[int], bytes]) -> None:
        self.count, self.content = count, content
        self.read: Counter[int] = Counter()

    name = "made"

    def __len__(self) -> int:
        return self.count

    def items(self) -> Iterator[Item]:
        for number in range(self.count):
            yield Item(f"{number:05}.jpg", None, "made", Image.Image, partial(self._content, number))

    def queries(self) -> list[Item]:
        return []

    def _content(self, number: int) -> bytes:
        self.read[number] += 1
        content = self.content(number)
        if not content:
            raise ImageError(f"{number} is empty")
        return content


@pytest.mark.parametrize("period", [2, 3, 4, 5, 10])
def test_classes_that_take_turns_are_all_seen(period: int):
    """Every second one in colour, and the sample must not be every second one."""
    made = Made(100 * period, lambda number: jpeg(128 if number % period else "red"))
    sample = take_sample(made, kind_of("pixels"))
    assert not sample.traits.grey
    assert sample.preprocessing.channels == 3
    share = sum(number % period == 0 for number in made.read) / made.read.total()
    assert 0.3 / period < share < 2 / period
    assert made.read.total() == len(made.read) == 100


def test_a_few_coloured_pictures_are_few_however_they_lie():
    """As in a folder of scans with some photographs at the end."""
    made = Made(1000, lambda number: jpeg("red" if number >= 900 else 128))
    assert not take_sample(made, kind_of("pixels")).traits.grey
    assert take_sample(Made(1000, lambda _: jpeg(128)), kind_of("pixels")).traits.grey


def test_pixels_are_kept_for_learning():
    made = Made(30, lambda number: b"" if number == 4 else b"no picture" if number == 5 else jpeg("red"))
    sample = take_sample(made, kind_of("pixels"), keep_pixels=True)
    assert set(sample.pixels) == set(range(30))
    assert {number for number, pixels in sample.pixels.items() if pixels is None} == {4, 5}
    expected = sample.preprocessing.pixels(Image.open(io.BytesIO(jpeg("red"))))
    assert all(np.array_equal(pixels, expected) for pixels in sample.pixels.values() if pixels is not None)
    assert set(sample.hashes) == set(range(30)) - {4, 5}
    assert take_sample(made, kind_of("pixels")).pixels == {}


def test_the_usual_encoder_is_chosen_and_its_pixels_are_kept():
    digits = take_sample(Made(30, lambda _: jpeg(200, (28, 28))), None, keep_pixels=True)
    assert (digits.kind.name, digits.preprocessing.shape) == ("contrastive", (28, 28, 1))
    assert all(pixels is not None and pixels.shape == (28, 28, 1) for pixels in digits.pixels.values())
    photographs = take_sample(Made(30, lambda number: jpeg("blue" if number else 200)), None, keep_pixels=True)
    assert (photographs.kind.name, photographs.preprocessing.shape) == ("photo", (224, 224, 3))
    assert all(pixels is not None and pixels.shape == (224, 224, 3) for pixels in photographs.pixels.values())


def test_size_is_what_a_viewer_shows_although_less_was_decoded():
    made = Made(3, lambda _: jpeg("red", (2000, 1000)))
    assert not take_sample(made, kind_of("pixels")).traits.small


def test_an_input_that_the_encoder_cannot_have():
    with pytest.raises(ModelError, match="sees pictures at 224x224"):
        take_sample(Made(3, lambda _: jpeg("red")), kind_of("photo"), 64)
    with pytest.raises(ImageError, match="size must be"):
        take_sample(Made(3, lambda _: jpeg("red")), None, 65)


def test_nothing_is_held_but_pixels():
    made = Made(300, lambda _: jpeg("red"))
    sample = take_sample(made, None, keep_pixels=True)
    assert all(isinstance(pixels, np.ndarray) for pixels in sample.pixels.values())
    assert isinstance(sample.preprocessing, Preprocessing)
    assert len(sample.pixels) == 100
