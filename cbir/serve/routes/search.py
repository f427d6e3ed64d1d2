"""`POST /api/collections/{name}/search`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException

from cbir import documents
from cbir.search.options import SearchOptions
from cbir.search.query import Single, StoredPoint, Words
from cbir.serve import body
from cbir.serve.schemas import HitAnswer, SearchAnswer, SearchRequest, Weighed, inlined
from cbir.serve.state import Served
from cbir.serve.uploads import NAME

if TYPE_CHECKING:
    from cbir.collection.point import Hit
    from cbir.search.searcher import Searcher
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}", tags=["search"])

#: Stands for a form's picture where the JSON has the id of an upload; none has this one.
_FORM = "(the form's image)"
_REQUEST = inlined(SearchRequest)
_BODY = {
    "requestBody": {
        "required": True,
        "description": "What to search for; with a picture, in a form: the picture is the query, and the part `query` "
        "holds the other fields as JSON.",
        "content": {"application/json": {"schema": _REQUEST}, "multipart/form-data": body.form_schema(_REQUEST)},
    }
}


async def _asked(request: Request) -> tuple[SearchRequest, bytes | None]:
    """Return what is searched for, and the picture of a form."""
    if body.is_form(request):
        image, query, _ = await body.read_form(request)
        try:
            fields: Any = json.loads(query or "{}")
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict) or "upload" in fields:
            raise body.NoPictureError("the part query is a JSON object, without upload: the form has the picture")
        return body.validated(SearchRequest, json.dumps({**fields, "upload": _FORM})), image
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "a search is application/json, or multipart/form-data with the picture as image")
    return body.validated(SearchRequest, await request.body()), None


@router.post("/search", name="search", openapi_extra=_BODY)
async def posted(
    name: str, asked: Annotated[tuple[SearchRequest, bytes | None], Depends(_asked)], served: Served
) -> SearchAnswer:
    """Find the stored pictures that are like a query."""
    return await search(name, asked[0], served, asked[1])


async def search(name: str, asked: SearchRequest, served: State, image: bytes | None = None) -> SearchAnswer:
    """Answer a search; `image` is a picture's file that came with it."""
    return await served.gate.run(_searched, served, name, asked, image)


def _searched(served: State, name: str, asked: SearchRequest, image: bytes | None) -> SearchAnswer:
    searcher = served.library.searcher(name)
    options = SearchOptions(
        k=asked.offset + asked.k,
        exact=asked.exact,
        max_distance=asked.max_distance,
        expand=asked.expand,
        rerank=asked.rerank,
        where=asked.where or None,
    )
    like, unlike = (
        [(each.weight, _query(served, searcher, each, image)) for each in some] for some in asked.examples()
    )
    with served.metrics.searching():
        hits = _hits(served, searcher, like, unlike, options)[asked.offset :]
    answers = [HitAnswer(**documents.hit(hit, searcher.metadata)) for hit in hits]
    return SearchAnswer(collection=name, hits=answers)


def _hits(
    served: State,
    searcher: Searcher,
    like: list[tuple[float, Single]],
    unlike: list[tuple[float, Single]],
    options: SearchOptions,
) -> list[Hit]:
    """Search, together with other requests if that costs nobody time: what is slow is searched by itself."""
    slow = unlike or len(like) > 1 or options.where is not None or options.expand or options.rerank
    query = like[0][1]
    if slow or isinstance(query, Words) or served.library.settings.qdrant_url is not None:
        return searcher.search(like=like, unlike=unlike, options=options)
    return served.searching(searcher).search(searcher, query, options)


def _query(served: State, searcher: Searcher, example: Weighed, image: bytes | None) -> Single:
    """Return one example as a query of the collection; pictures are encoded together with those of other requests."""
    if example.vector is not None:
        return np.array(example.vector, np.float32)
    if example.text is not None:
        return Words(example.text)
    if example.id is not None and example.box is None:
        return StoredPoint(example.id)
    preprocessing = searcher.bundle.preprocessing
    if example.id is not None:
        pixels = served.pictures.pixels(searcher, example.id, preprocessing, example.box)
    elif image is not None:
        pixels = served.decoding.pixels(image, NAME, preprocessing, example.box)
    else:
        upload = served.uploads.get(example.upload or "")
        pixels = served.uploads.pixels(upload, preprocessing, example.box)
    return served.encoding(searcher).encode(pixels)
