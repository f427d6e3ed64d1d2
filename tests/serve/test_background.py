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
    while (work := background.of(searcher)).stage:
        assert time.monotonic() < began + 10
    assert "'digits'" in str(work.problem)
    background.close()


def test_a_collection_that_has_changed_knows_of_nothing(digits: Path, monkeypatch: pytest.MonkeyPatch):
    done = threading.Event()

    def count(searcher: Searcher, progress: Progress) -> int:
        assert done.wait(10)
        return searcher.collection.count()

    with cbir.open("digits") as searcher:
        assert searcher.collection.count(), "opening it reads what it remembers"
        background = Background(count, "count")
        background.begin(searcher)
        monkeypatch.setattr(searcher, "metadata", replace(searcher.metadata, updated="later"))
        assert background.of(searcher) == Work()
        done.set()
        background.close()
        assert background.of(searcher) == Work(), "what was made of it as it was"
        assert background.begin(searcher) == Work(), "nothing is begun any more"
