"""Work in the background: the collection stays open for it, and whoever closes that does not wait for its end."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import cbir
from cbir.core.progress import Progress
from cbir.search.searcher import Searcher
from cbir.serve.background import Background, Work


def endless(searcher: Searcher, progress: Progress) -> int:
    collection = searcher.collection
    while True:
        progress("count", collection.count(), None)
        time.sleep(0.01)


def test_who_closes_a_collection_ends_what_is_done_with_it(digits: Path):
    background = Background(endless, "begin", alone="is being counted")
    searcher = cbir.open("digits")
    assert background.begin(searcher) == Work("begin")
    began = time.monotonic()
    while background.of(searcher).stage == "begin":
        assert time.monotonic() < began + 10
    searcher.close()
    while background.of(searcher).stage:
        assert time.monotonic() < began + 10
    with cbir.open("digits") as again:
        assert background.of(again) == Work(), "no problem of this one"
    background.close()


def test_what_is_made_of_a_changing_collection_ends_before_it_is_made_again(
    digits: Path, monkeypatch: pytest.MonkeyPatch
):
    done = threading.Event()
    begun = []

    def count(searcher: Searcher, progress: Progress) -> int:
        begun.append(searcher.metadata.updated)
        progress("read", 1, 2)
        assert done.wait(10)
        return searcher.collection.count()

    with cbir.open("digits") as searcher:
        assert searcher.collection.count(), "opening it reads what it remembers"
        background = Background(count, "count")
        background.begin(searcher)
        monkeypatch.setattr(searcher, "metadata", replace(searcher.metadata, updated="later"))
        assert background.begin(searcher).stage
        background.forget(searcher)
        assert background.begin(searcher).stage
        done.set()
        end = time.monotonic() + 10
        while background.of(searcher) != Work():
            assert time.monotonic() < end, "what was made of it as it was"
        assert len(begun) == 1, "one at a time"
        background.begin(searcher)
        background.close()
        assert background.of(searcher).result == searcher.collection.count()
        background.forget(searcher)
        assert background.begin(searcher) == Work(), "nothing is begun any more"
