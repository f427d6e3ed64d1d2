"""`GET /images/{collection}/{id}` and `/thumbnails/{collection}/{id}`: the pictures of stored points.

What a browser can show is answered as it is, anything else as WebP; no answer is ever run as a page or a script,
whatever else the file is. With `v`, the beginning of the content's SHA-256, browsers keep an answer for ever.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from cbir.collection.point import text_of
from cbir.model.formats import SNIFFED_BYTES, sniff
from cbir.serve.decoding import as_webp
from cbir.serve.headers import LOCKED
from cbir.serve.state import Served
from cbir.serve.stored import DatasetPicture

if TYPE_CHECKING:
    from collections.abc import Callable

    from cbir.collection.point import Payload
    from cbir.search.searcher import Searcher
    from cbir.serve.state import State
    from cbir.serve.stored import File

router = APIRouter(tags=["pictures"])

#: Sides of thumbnails, in pixels; between these, the next larger one is answered.
SIDES = (80, 160, 320, 640, 1280, 1600)
#: Pixels of the longer side of a picture that browsers do not show as it is.
_LARGEST = 4096
#: Formats that browsers show, with what they call them.
_SHOWN = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "AVIF": "image/avif"}
_WEBP = "image/webp"
_FOR_EVER, _ASK_AGAIN = "private, max-age=31536000, immutable", "private, no-cache"
#: Digits of a hash that say which content is meant.
_VERSION = 8

Version = Annotated[
    str | None, Query(max_length=64, description="The first digits of the content's SHA-256: kept for ever.")
]
Known = Annotated[str | None, Header(alias="If-None-Match", include_in_schema=False)]
_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _answers(*kinds: str) -> dict[int | str, dict[str, object]]:
    return {
        200: {"content": dict.fromkeys(kinds, _BINARY), "description": "The picture."},
        304: {"description": "The one that the browser has, by `If-None-Match`."},
    }


@router.get("/images/{collection}/{id}", response_class=Response, responses=_answers(*_SHOWN.values()))
async def image(
    collection: str,
    id: UUID,  # noqa: A002 - as the path has it
    served: Served,
    v: Version = None,
    if_none_match: Known = None,
) -> Response:
    """Show a stored picture, as large as it is."""
    return await served.looking.run(_answer, served, collection, str(id), v, if_none_match, None)


@router.get("/thumbnails/{collection}/{id}", response_class=Response, responses=_answers(_WEBP))
async def thumbnail(
    collection: str,
    id: UUID,  # noqa: A002
    served: Served,
    size: Annotated[int, Query(ge=16, le=SIDES[-1], description="Pixels of the longer side, about.")] = 320,
    v: Version = None,
    if_none_match: Known = None,
) -> Response:
    """Show a stored picture small."""
    side = next(each for each in SIDES if each >= size)
    return await served.looking.run(_answer, served, collection, str(id), v, if_none_match, side)


def _answer(
    served: State, collection: str, point: str, version: str | None, known: str | None, side: int | None
) -> Response:
    searcher = served.library.searcher(collection)
    payload, found = served.pictures.find(searcher, point)
    state = f"{side}\0{found.stamp}".encode("utf-8", "surrogatepass")
    tag = f'"{hashlib.sha256(state).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": _cached(payload, version), **LOCKED}
    if known is not None and tag in known:
        return Response(status_code=304, headers=headers)
    make = _whole if side is None else _small(side)
    content, kind = make(served, searcher, found)
    return Response(content, headers=headers, media_type=kind)


def _cached(payload: Payload, version: str | None) -> str:
    """Return how long browsers keep an answer: for ever what is asked for by its content."""
    sha256 = text_of(payload, "sha256")
    named = version is not None and (not sha256 or (len(version) >= _VERSION and sha256.startswith(version.lower())))
    return _FOR_EVER if named else _ASK_AGAIN


def _whole(served: State, searcher: Searcher, found: File | DatasetPicture) -> tuple[bytes, str]:
    if isinstance(found, DatasetPicture):
        return as_webp(served.pictures.of_dataset(searcher, found), _LARGEST), _WEBP
    content = found.read()
    kind = _SHOWN.get(sniff(content[:SNIFFED_BYTES], found.path) or "")
    if kind is not None:
        return content, kind
    return served.pictures.decoding.webp(content, found.path, _LARGEST), _WEBP


def _small(side: int) -> Callable[[State, Searcher, File | DatasetPicture], tuple[bytes, str]]:
    def make(served: State, searcher: Searcher, found: File | DatasetPicture) -> tuple[bytes, str]:
        if isinstance(found, DatasetPicture):
            return as_webp(served.pictures.of_dataset(searcher, found), side), _WEBP
        key = f"{side}\0{found.sha256}\0{found.stamp}"
        content = served.thumbnails.get(key)
        if content is None:
            content = served.pictures.decoding.webp(found.read(), found.path, side)
            served.thumbnails.put(key, content)
        return content, _WEBP

    return make
