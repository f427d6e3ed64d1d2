"""What all pages have in common: the frame with the collections and the other pages, and errors told in words.

In: a template and what it shows. Out: HTML. A page's router is made by `pages_router()`, so that an error becomes a
page, not a JSON document; the menu names the pages whose routes are there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.routing import NoMatchFound

from cbir.collection.errors import CollectionError
from cbir.core.errors import CbirError
from cbir.serve.gate import BusyError
from cbir.serve.pages import static

if TYPE_CHECKING:
    from cbir.serve.state import State

#: The menu: names of routes with a parameter `name`, the collection; those that are not there are left out.
MENU = {
    "search_page": "Search",
    "map_page": "Map",
    "duplicates_page": "Duplicates",
    "quality_page": "How good",
    "seen_page": "How it was seen",
}

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["static"] = static.address


class _Route(APIRoute):
    """Answers errors with a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, wrapped."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:  # noqa: BLE001 - told in words
                return await _failed(request, error)

        return handled


def pages_router() -> APIRouter:
    """Return a router for pages."""
    return APIRouter(route_class=_Route, include_in_schema=False, default_response_class=HTMLResponse)


async def page(
    request: Request, served: State, template: str, collection: str | None, status: int = 200, **shown: Any
) -> HTMLResponse:
    """Return a page.

    Parameters
    ----------
    request : Request
    served : State
    template : str
        Its file in `templates`; it extends `base.html`.
    collection : str or None
        The one that it is about.
    status : int
    **shown
        What the template uses.
    """
    made = datetime.now(UTC).isoformat()
    here = request.scope["route"].name if "route" in request.scope else None
    known = await served.gate.run(served.library.all_metadata)
    route = here if here in MENU else "search_page"
    choices = [
        {
            "name": name,
            "href": _href(request, route, name),
            "problem": str(found) if isinstance(found, CollectionError) else None,
        }
        for name, found in known.items()
    ]
    menu = [
        {"title": title, "href": href, "here": name == here}
        for name, title in MENU.items()
        if collection is not None and (href := _href(request, name, collection))
    ]
    shown["watched"] = served.library.settings.qdrant_url is None  # of others' ingests, nothing is known
    shown["logged_in"] = served.tokens.has_cookie(request.headers, request.scope)
    html = _templates.get_template(template).render(
        collection=collection, choices=choices, menu=menu, made=made, **shown
    )
    return HTMLResponse(html, status, {"Cache-Control": "no-cache"})


def bare(template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """Return a page that says nothing of the collections: a template, and what it uses."""
    html = _templates.get_template(template).render(collection=None, choices=[], menu=[], watched=False, **shown)
    return HTMLResponse(html, status, {"Cache-Control": "no-cache"})


def _href(request: Request, route: str, collection: str) -> str | None:
    try:
        return str(request.app.url_path_for(route, name=collection))
    except NoMatchFound:
        return None


def add_no_page(app: FastAPI) -> None:
    """Have people who ask for what is nowhere get a page, programs a problem document."""

    async def told(request: Request, error: Exception) -> Response:
        is_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")
        return await _failed(request, error) if is_page else _answered(request, error)

    app.add_exception_handler(HTTPStatus.NOT_FOUND, told)


def status_of(request: Request, error: Exception) -> tuple[int, str]:
    """Return the status that the API would answer an error with, and what it would say."""
    answer = _answered(request, error)
    return answer.status_code, json.loads(bytes(answer.body))["detail"]


def _answered(request: Request, error: Exception) -> JSONResponse:
    handlers = request.app.exception_handlers
    handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
    return handler(request, error)


async def _failed(request: Request, error: Exception) -> Response:
    """Return the problem document that the API would answer, as a page."""
    answer = _answered(request, error)
    problem = json.loads(bytes(answer.body))
    served: State = request.app.state.cbir
    try:
        told = await page(request, served, "error.html", None, answer.status_code, problem=problem)
    except (CbirError, BusyError):  # not even the collections can be listed
        told = bare("error.html", answer.status_code, problem=problem)
    if "retry-after" in answer.headers:
        told.headers["Retry-After"] = answer.headers["retry-after"]
    return told
