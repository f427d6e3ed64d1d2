"""The application: routes, pages and what guards them, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI

from cbir.serve import pages
from cbir.serve.guard import CommonHeaders, Guard
from cbir.serve.limits import Bodies
from cbir.serve.metrics import Measured
from cbir.serve.openapi import add_document
from cbir.serve.pages.frame import add_no_page
from cbir.serve.problems import add_problems
from cbir.serve.routes import (
    agreement,
    collections,
    distances,
    duplicates,
    facets,
    folder,
    health,
    maps,
    pictures,
    points,
    search,
    seen,
    uploads,
)
from cbir.serve.state import State

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from cbir.serve.config import ServeConfig
    from cbir.serve.library import Library


class _App(FastAPI):
    """An application whose every answer has the headers that browsers go by."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with what is around it."""
        return CommonHeaders(super().build_middleware_stack())


def create_app(library: Library, config: ServeConfig) -> FastAPI:
    """Return the application; it closes the library when it ends."""

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            state.close()

    state = State(library, config)
    app = _App(
        title="cbir",
        description="Find the pictures that look like a picture.",
        lifespan=living,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        version=version("cbir"),
    )
    app.state.cbir = state
    add_problems(app)
    add_no_page(app)
    add_document(app)
    searched = (collections, distances, duplicates, agreement, facets, folder, maps, points, search, seen)
    for routes in (*searched, health, uploads, pictures):
        app.include_router(routes.router)
    for each in pages.routers():
        app.include_router(each)
    app.add_middleware(Bodies, config=config)
    app.add_middleware(Guard, config=config, tokens=state.tokens)
    app.add_middleware(Measured, metrics=state.metrics)  # last, and so around all others
    return app
