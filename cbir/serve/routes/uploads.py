"""`POST /api/uploads` and `GET /uploads/{id}`: pictures to search with."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cbir.serve import body
from cbir.serve.headers import LOCKED
from cbir.serve.schemas import UploadAnswer
from cbir.serve.state import Served

router = APIRouter(tags=["uploads"])

_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The picture, alone or in a form's part `image`. Its format is told by its first bytes.",
        "content": {"multipart/form-data": body.form_schema(), "image/*": _PICTURE},
    }
}


@router.post("/api/uploads", status_code=201, openapi_extra=_BODY)
async def upload(request: Request, served: Served) -> UploadAnswer:
    """Upload a picture to search with; it is kept in memory for as long as there is room."""
    content = await body.read_picture(request)
    added = await served.gate.run(served.uploads.add, content)
    return UploadAnswer(id=added.id, width=added.width, height=added.height)


@router.get(
    "/uploads/{upload_id}",
    response_class=Response,
    responses={200: {"content": {"image/webp": _PICTURE}, "description": "The picture, upright, made smaller."}},
)
async def preview(upload_id: str, served: Served) -> Response:
    """Show an uploaded picture."""
    found = served.uploads.get(upload_id)
    content = await served.gate.run(served.uploads.preview, found)
    headers = {"Cache-Control": "private, max-age=31536000, immutable", **LOCKED}
    return Response(content, headers=headers, media_type="image/webp")
