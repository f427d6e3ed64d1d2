"""The pages for people: HTML made on the server, with small ES modules beside it; nothing is loaded from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter

from cbir.serve.pages import duplicates, login, maps, quality, search, seen, static


def routers() -> list[APIRouter]:
    """Return the pages' routes."""
    return [static.router, login.router, search.router, quality.router, seen.router, duplicates.router, maps.router]
