"""While a batch is stored, the next one is encoded; what is held is bounded; colours that nobody sees are told."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cbir
from cbir.core.errors import CbirWarning
from cbir.ingest import read, shard, smooth
from cbir.ingest.encode import Encoded, encode
from cbir.ingest.store import Stored, store
from tests.conftest import picture


@pytest.fixture
def forty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of forty pictures, which are read as five batches."""
    monkeypatch.setattr(read, "BATCH", 8)
    (folder := tmp_path / "forty").mkdir()
    for seed in range(40):
        picture(seed).save(folder / f"{seed:02}.png")
    return folder


def watched(monkeypatch: pytest.MonkeyPatch, stored: Callable[..., Stored], taken: Callable[[int], None]) -> None:
    """Store by another function, and tell which batch is about to be encoded."""

    def encoded(batches: Iterable[Any], encoder: Any) -> Iterator[Encoded]:
        def counted() -> Iterator[Any]:
            for number, batch in enumerate(batches):
                taken(number)
                yield batch

        return encode(counted(), encoder)

    monkeypatch.setattr(shard, "encode", encoded)
    monkeypatch.setattr(shard, "store", stored)


def test_the_next_batch_is_encoded_while_one_is_stored(home: Path, forty: Path, monkeypatch: pytest.MonkeyPatch):
    next_taken = threading.Event()

    def stored(*args: Any, **kwargs: Any) -> Stored:
        assert next_taken.wait(30), "the next batch waits for this one"
        return store(*args, **kwargs)

    watched(monkeypatch, stored, lambda number: next_taken.set() if number == 1 else None)
    assert cbir.ingest(forty, encoder="pixels").ingested == 40


def test_batches_are_not_encoded_far_ahead(home: Path, forty: Path, monkeypatch: pytest.MonkeyPatch):
    done = 0
    ahead = []

    def stored(*args: Any, **kwargs: Any) -> Stored:
        nonlocal done
        result = store(*args, **kwargs)
        done += 1
        return result

    watched(monkeypatch, stored, lambda number: ahead.append(number - done))
    assert cbir.ingest(forty, encoder="pixels").ingested == 40
    assert len(ahead) == 5
    assert max(ahead) <= 2


def test_what_is_smoothed_is_stored_before_the_next_is_looked_at(
    home: Path, forty: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(smooth, "BLOCK", 8)
    order: list[str] = []

    def stored(*args: Any, **kwargs: Any) -> Stored:
        order.append("stored")
        return store(*args, **kwargs)

    watched(monkeypatch, stored, lambda number: order.append("taken"))
    assert cbir.ingest(forty, encoder="pixels", smooth=2).ingested == 40
    assert order == ["taken", "stored"] * 5


def test_nothing_is_stored_after_a_batch_that_cannot_be(home: Path, forty: Path, monkeypatch: pytest.MonkeyPatch):
    tried: list[int] = []
    third_taken = threading.Event()

    def stored(*args: Any, **kwargs: Any) -> Stored:
        tried.append(len(tried))
        if len(tried) == 2:
            assert third_taken.wait(30)
            time.sleep(0.5)  # by then it waits to be stored
            raise ArithmeticError("not this one")
        return store(*args, **kwargs)

    watched(monkeypatch, stored, lambda number: third_taken.set() if number == 2 else None)
    with pytest.raises(ArithmeticError, match="not this one"):
        cbir.ingest(forty, encoder="pixels")
    assert tried == [0, 1]
    monkeypatch.undo()
    with monkeypatch.context() as patch:
        patch.setenv("CBIR_HOME", str(home))
        again = cbir.ingest(forty)
    assert (again.ingested, again.unchanged) == (32, 8)


def test_batches_of_large_inputs_are_small(home: Path, forty: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(read, "BATCH", 256)
    monkeypatch.setattr(read, "_BATCH_BYTES", 10 * 64 * 64)
    sizes: list[int] = []

    def stored(*args: Any, **kwargs: Any) -> Stored:
        result = store(*args, **kwargs)
        sizes.append(result.ingested)
        return result

    watched(monkeypatch, stored, lambda number: None)
    assert cbir.ingest(forty, encoder="pixels", size=64).ingested == 40
    assert max(sizes) < 10 + 8
    assert len(sizes) >= 3


def test_colours_that_the_encoder_does_not_see_are_told(home: Path, forty: Path, recwarn: pytest.WarningsRecorder):
    assert cbir.ingest(forty, encoder="pixels").model.preprocessing.channels == 1
    assert not recwarn.list
    for number, color in enumerate(("red", "green", "blue")):
        Image.new("RGB", (20, 20), color).save(forty / f"colour {number}.png")
    picture(99).convert("RGB").save(forty / "grey.png")
    with pytest.warns(CbirWarning, match=r"3 of the 4 new pictures are in colour, and 'forty' was made for grey"):
        assert cbir.ingest(forty).ingested == 4
