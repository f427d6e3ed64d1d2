"""Searches that meet are one batch, and each gets its own answer."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cbir
from cbir.collection.errors import NoSuchPointError
from cbir.collection.point import Hit
from cbir.search.options import SearchOptions
from cbir.search.query import StoredPoint
from cbir.search.searcher import Searcher
from cbir.serve.searching import Searching


class Held:
    """A searcher whose first batch waits until it may go on."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self.batches: list[tuple[int, int]] = []
        self.begun, self.may = threading.Event(), threading.Event()

    def search_many(self, queries: Any, *, options: SearchOptions) -> list[list[Hit]]:
        self.batches.append((len(queries), options.k))
        self.begun.set()
        assert self.may.wait(20)
        return self._searcher.search_many(queries, options=options)


@pytest.mark.parametrize("missing", [False, True], ids=["sound", "one is missing"])
def test_what_comes_during_a_search_is_the_next_batch(digits: Path, missing: bool):
    with cbir.open("digits") as searcher, ThreadPoolExecutor(9) as threads:
        page = next(searcher.collection.scroll(page=8))
        queries: list[Any] = [*page.vectors[:6], StoredPoint(page.ids[6]), page.vectors[7]]
        alone = [searcher.search(query, k=3) for query in queries]
        held, searching = Held(searcher), Searching()

        def ask(query: Any, k: int = 3) -> Future[list[Hit]]:
            return threads.submit(searching.search, held, query, SearchOptions(k=k))  # type: ignore[arg-type]

        first = ask(queries[0])
        assert held.begun.wait(20)
        others = [ask(query) for query in queries[1:7]]
        another = ask(queries[7], k=1)
        lost = ask(StoredPoint("00000000-0000-0000-0000-000000000000")) if missing else None
        while len(searching._waiting) < 7 + missing:
            threading.Event().wait(0.001)
        held.may.set()
        found = [each.result(20) for each in (first, *others)]
        assert [[hit.id for hit in hits] for hits in found] == [[hit.id for hit in hits] for hits in alone[:7]]
        assert [hit.id for hit in another.result(20)] == [alone[7][0].id]
        assert np.allclose([hit.distance for hits in found for hit in hits], [h.distance for a in alone[:7] for h in a])
        if lost is not None:
            with pytest.raises(NoSuchPointError):
                lost.result(20)
        assert held.batches[0] == (1, 3)
        assert {(6 + missing, 3), (1, 1)} <= set(held.batches)
        assert len(held.batches) == 3 + 7 * missing
