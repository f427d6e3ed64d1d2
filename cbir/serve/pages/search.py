"""`/` and `/c/{name}`: the page to search with.

In: an address, which says what is asked. Out: the pictures that are like it, or some of the collection where nothing
is asked; the page's modules put parts of another answer in the place of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from cbir import documents
from cbir.collection.filter import FilterError
from cbir.collection.point import Hit, label_of, text_of
from cbir.collection.stored_fields import StoredFields, read_where
from cbir.core.errors import CbirError
from cbir.serve.desktop import can_show
from cbir.serve.gate import BusyError
from cbir.serve.pages.asked import PAGE, Asked
from cbir.serve.pages.frame import page, pages_router, status_of
from cbir.serve.pages.shown import Shown, example, shown
from cbir.serve.routes.search import search
from cbir.serve.schemas import HitAnswer
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.collection.point import Page
    from cbir.serve.state import State

#: Fields whose values are offered with their counts, where the collection has them, and what people call them.
FACETS = {
    "label": "Label",
    "folder": "Folder",
    "taken_at": "Taken",
    "camera": "Camera",
    "lens": "Lens",
    "format": "Format",
    "source": "Source",
}

router = pages_router()


@router.get("/")
async def start(request: Request, served: Served) -> Response:
    """Go to the collection that is meant where none is named."""
    name = await served.gate.run(served.library.first)
    return RedirectResponse(request.app.url_path_for("search_page", name=name))


@router.get("/c/{name}")
async def search_page(request: Request, name: str, served: Served) -> Response:
    """Search a collection, or look through it."""
    asked = Asked.of(request.query_params)
    about = await served.gate.run(_about, served, name)
    hits: list[Shown] = []
    points: int | None = None
    more: str | None = None
    problem, status = None, 200
    try:
        wanted = asked.request()
        if wanted is None:
            hits, points, more = await served.gate.run(_some, served, name, asked)
        else:
            answer = await search(name, wanted, served)
            hits = [shown(name, hit, asked) for hit in answer.hits]
            if len(hits) == PAGE:
                more = asked.query(offset=asked.offset + PAGE)
    except (CbirError, BusyError) as error:
        status, detail = status_of(request, error)
        problem = {"detail": detail, "where": isinstance(error, FilterError)}
    return await page(
        request,
        served,
        "search.html",
        name,
        status,
        asked=asked,
        query=example(name, asked.q),
        like=[example(name, each) for each in asked.like],
        unlike=[example(name, each) for each in asked.unlike],
        hits=hits,
        points=points,
        more=more,
        problem=problem,
        **about,
    )


def _about(served: State, name: str) -> dict[str, Any]:
    """Return what the page says of a collection."""
    searcher = served.library.searcher(name)
    with searcher.used() as collection:
        fields = list(StoredFields(collection))
    return {
        "opens_folders": can_show(served.config),
        "words": searcher.bundle.understands_words,
        "facets": {field: title for field, title in FACETS.items() if field in fields},
        "fields": fields,
    }


def _some(served: State, name: str, asked: Asked) -> tuple[list[Shown], int, str | None]:
    """Return pictures in the order of their ids, which is none; how many there are in all; the address of what follows.

    That address names a picture, not how many come before it: these would be read to be left out.
    """
    searcher = served.library.searcher(name)
    with searcher.used() as collection:
        where = read_where(list(asked.where), collection)
        # One more than is shown tells whether others follow; the one that these come after is read as well.
        pages = collection.scroll(vectors=False, where=where, page=PAGE + 2, start=asked.after or None)
        found = [each for each in _hits(next(pages, None)) if each.id != asked.after]
        points = collection.count(where=where)
    few = [HitAnswer(**documents.hit(each, searcher.metadata)) for each in found[:PAGE]]
    more = asked.query(after=few[-1].id) if len(found) > PAGE else None
    return [shown(name, hit, asked, near=False) for hit in few], points, more


def _hits(page: Page | None) -> Iterator[Hit]:
    if page is not None:
        for point, payload in zip(page.ids, page.payloads, strict=True):
            yield Hit(point, 0.0, label_of(payload), text_of(payload, "uri"), payload)
