"""`POST /api/collections/{name}/search`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from fastapi import APIRouter

from cbir import documents
from cbir.search.options import SearchOptions
from cbir.search.query import Single, StoredPoint, Words
from cbir.serve.schemas import HitAnswer, SearchAnswer, SearchRequest, Weighed
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}", tags=["search"])


@router.post("/search")
async def search(name: str, asked: SearchRequest, served: Served) -> SearchAnswer:
    """Find the stored pictures that are like a query."""
    return await served.gate.run(_searched, served, name, asked)


def _searched(served: State, name: str, asked: SearchRequest) -> SearchAnswer:
    searcher = served.library.searcher(name)
    options = SearchOptions(
        k=asked.offset + asked.k,
        exact=asked.exact,
        max_distance=asked.max_distance,
        expand=asked.expand,
        rerank=asked.rerank,
        where=asked.where or None,
    )
    like, unlike = ([(each.weight, _query(each)) for each in some] for some in asked.examples())
    hits = searcher.search(like=like, unlike=unlike, options=options)[asked.offset :]
    answers = [HitAnswer(**documents.hit(hit, searcher.metadata)) for hit in hits]
    return SearchAnswer(collection=name, hits=answers)


def _query(example: Weighed) -> Single:
    """Return one example as a query of the collection."""
    if example.id is not None:
        return StoredPoint(example.id)
    if example.vector is not None:
        return np.array(example.vector, np.float32)
    return Words(example.text or "")
