"""`/api/collections/{name}/points`: one stored picture, shown, added or removed."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.exceptions import HTTPException

from cbir import documents
from cbir.collection.errors import NoSuchPointError
from cbir.collection.metadata import changed_now
from cbir.collection.point import Hit, label_of, text_of
from cbir.serve import body
from cbir.serve.adding import added
from cbir.serve.schemas import AddedAnswer, AddRequest, PointAnswer, inlined
from cbir.serve.state import Served
from cbir.serve.tokens import Writer

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


_BODY = {
    "requestBody": {
        "required": True,
        "description": "The picture in a form's part `image`; what is said of it as JSON in the part `query`.",
        "content": {"multipart/form-data": body.form_schema(inlined(AddRequest))},
    }
}


@router.post(
    "",
    summary="Add a picture",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": AddedAnswer, "description": "Its content was stored already."}},
)
async def add_point(name: str, request: Request, response: Response, served: Served, _: Writer) -> AddedAnswer:
    """Store a picture as an ingest would: by its content, with what its file says of it.

    A content that is stored already keeps its feature, and takes the label and the fields that come with it. The point
    has a file only if `save` asks for one, so that it can be shown, and be found again by the next ingest. The file
    gets a name of its own; what the uploaded one was called is kept in the field `original_name`, to be shown.
    """
    if not body.is_form(request):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a picture is added as multipart/form-data")
    form = await body.read_form(request)
    asked = body.validated(AddRequest, form.query or "{}")
    identity, created = await served.gate.run(added, served, name, form, asked)
    response.status_code = HTTPStatus.CREATED if created else HTTPStatus.OK
    response.headers["Location"] = f"/api/collections/{quote(name, safe='')}/points/{identity}"
    return AddedAnswer(id=identity, created=created)


@router.delete("/{id}", summary="Remove a picture from the collection", status_code=204)
async def delete_point(name: str, id: UUID, served: Served, _: Writer) -> None:  # noqa: A002
    """Remove a point. Its file stays, and the next ingest of its folder stores it again, unless the file is gone."""
    await served.gate.run(_delete, served, name, str(id))


def _delete(served: State, name: str, id: str) -> None:  # noqa: A002
    with served.library.writing(name) as (_, collection):
        if not collection.payloads([id]):
            raise NoSuchPointError(f"collection '{name}' holds no point '{id}'")
        collection.delete([id])
        collection.remember(changed_now(collection.metadata))
