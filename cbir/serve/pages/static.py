"""`/static/{version}/...`: the pages' styles and modules, which browsers may keep for ever.

The version is a hash of all these files, so that another cbir has other addresses; modules that import each other by
relative paths stay together.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from cbir.serve.problems import NotFoundError

FOLDER = Path(__file__).parents[1] / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

router = APIRouter(include_in_schema=False)


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    paths = sorted(path for path in FOLDER.rglob("*") if path.suffix in _TYPES)
    return {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in paths}


@lru_cache(maxsize=1)
def version() -> str:
    """Return the hash of all files."""
    digest = hashlib.sha256()
    for name, content in _files().items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def address(name: str) -> str:
    """Return a file's address; KeyError if there is none of that name."""
    _files()[name]
    return f"/static/{version()}/{name}"


@router.get("/static/{asked}/{name:path}")
async def static(asked: str, name: str) -> Response:
    """Answer a file; one of another version is not kept."""
    if name not in _files():
        raise NotFoundError(f"there is no {name} among the page's files")
    keep = "public, max-age=31536000, immutable" if asked == version() else "no-cache"
    kind = _TYPES[Path(name).suffix]
    return Response(_files()[name], headers={"Cache-Control": keep, "Content-Type": kind})
