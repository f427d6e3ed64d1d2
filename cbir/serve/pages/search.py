"""`/` and `/c/{name}`: the page to search with."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from cbir.serve.pages.frame import page, pages_router
from cbir.serve.state import Served

router = pages_router()


@router.get("/")
async def start(request: Request, served: Served) -> Response:
    """Go to the collection that is meant where none is named."""
    name = await served.gate.run(served.library.first)
    return RedirectResponse(request.app.url_path_for("search_page", name=name))


@router.get("/c/{name}")
async def search_page(request: Request, name: str, served: Served) -> Response:
    """Search a collection."""
    searcher = await served.gate.run(served.library.searcher, name)
    return await page(request, served, "search.html", name, words=searcher.bundle.understands_words)
