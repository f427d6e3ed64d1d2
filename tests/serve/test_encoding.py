"""Pictures of several requests are encoded together."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

import cbir
from cbir.core.settings import read_settings
from cbir.serve.config import ServeConfig
from cbir.serve.encoding import MOST, Encoding
from cbir.serve.gate import BusyError
from cbir.serve.library import Library
from cbir.serve.state import State

if TYPE_CHECKING:
    from cbir.search.searcher import Searcher


class Encoder:
    """Of a picture, its mean; each batch is noted, and waits until it may go on."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.begun, self.may = threading.Semaphore(0), threading.Semaphore(0)
        self.error: Exception | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.batches.append(len(pixels))
        self.begun.release()
        assert self.may.acquire(timeout=20)
        if self.error is not None:
            raise self.error
        return pixels.mean((1, 2, 3), dtype=np.float32)[:, None]


def waiting(encoding: Encoding, count: int) -> None:
    """Wait until so many pictures wait for the batch in work."""
    while encoding._asked.qsize() < count:
        threading.Event().wait(0.001)


def picture(value: int) -> np.ndarray:
    return np.full((2, 2, 1), value, np.uint8)


def test_what_comes_during_a_batch_makes_the_next_and_everybody_gets_their_own():
    encoder, told = Encoder(), list[int]()
    encoding = Encoding(encoder, lambda pictures, seconds: told.append(pictures if seconds >= 0 else -1))
    count = MOST + 2
    with ThreadPoolExecutor(count + 1) as threads:
        first = threads.submit(encoding.encode, picture(0))
        assert encoder.begun.acquire(timeout=20)
        others = [threads.submit(encoding.encode, picture(value)) for value in range(1, count + 1)]
        waiting(encoding, count)
        encoder.may.release(3)
        assert [each.result(20)[0] for each in (first, *others)] == list(range(count + 1))
    assert encoder.batches == [1, MOST, 2] == told
    encoding.close()


def test_an_error_is_that_batch_s_alone():
    encoder = Encoder()
    encoding = Encoding(encoder)
    encoder.error = RuntimeError("broken")
    encoder.may.release(2)
    with pytest.raises(RuntimeError, match="broken"):
        encoding.encode(picture(1))
    encoder.error = None
    assert encoding.encode(picture(2)) == [2]
    encoding.close()


def test_nobody_waits_for_an_encoder_that_has_ended():
    encoder = Encoder()
    encoding = Encoding(encoder)
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(encoding.encode, picture(1))]
        assert encoder.begun.acquire(timeout=20)
        asked.append(threads.submit(encoding.encode, picture(2)))
        waiting(encoding, 1)
        closing = threads.submit(encoding.close)
        encoder.may.release(2)
        assert [each.result(20)[0] for each in asked] == [1, 2]
        closing.result(20)
    with pytest.raises(BusyError):
        encoding.encode(picture(3))


def test_an_encoder_that_no_collection_has_any_more_is_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(tmp_path))
    cbir.ingest("digits", encoder="pixels", limit=2)
    with closing(State(Library(read_settings()), ServeConfig())) as state:
        searcher = state.library.searcher("digits")
        before = state.encoding(searcher)
        assert state.encoding(searcher) is before
        retrained = SimpleNamespace(name="digits", bundle=SimpleNamespace(fingerprint="f" * 16), closed=False)
        after = state.encoding(cast("Searcher", retrained))
        with pytest.raises(BusyError):
            before.encode(picture(1))
        assert state.encoding(cast("Searcher", retrained)) is after
        retrained.closed = True  # removed, say
        state.encoding(cast("Searcher", SimpleNamespace(name="other", bundle=searcher.bundle, closed=False)))
        with pytest.raises(BusyError):
            after.encode(picture(1))
