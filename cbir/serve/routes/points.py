"""`GET /api/collections/{name}/points/{id}`: one stored picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from cbir import documents
from cbir.collection.errors import NoSuchPointError
from cbir.collection.point import Hit, label_of, text_of
from cbir.serve.schemas import PointAnswer
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}/points", tags=["points"])


@router.get("/{id}", summary="Get a stored picture")
async def point(
    name: str,
    id: UUID,  # noqa: A002 - as the path has it
    served: Served,
    vector: Annotated[bool, Query(description="Also its feature.")] = False,
) -> PointAnswer:
    """Return what is stored with a picture, where it is, and if asked for its feature."""
    return await served.gate.run(_point, served, name, str(id), vector=vector)


def _point(served: State, name: str, id: str, *, vector: bool) -> PointAnswer:  # noqa: A002
    searcher = served.library.searcher(name)
    with searcher.used() as collection:
        payload = collection.payloads([id]).get(id)
        feature = collection.vectors([id]).get(id) if vector else None
    if payload is None:
        raise NoSuchPointError(f"collection '{name}' holds no point '{id}'")
    found = documents.hit(Hit(id, 0.0, label_of(payload), text_of(payload, "uri"), payload), searcher.metadata)
    del found["distance"]
    return PointAnswer(**found, vector=None if feature is None else feature.tolist())
