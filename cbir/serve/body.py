"""A request's body with a picture in it: a form with the part `image`, or nothing but the picture.

In: a request, whose bytes are bounded while they come (`limits`). Out: the picture's bytes, and what else the form
says, with the name of the picture's file to be shown: never a path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from cbir.core.errors import CbirError

if TYPE_CHECKING:
    from fastapi import Request

#: Wrong parts of a request that are told one by one.
_MOST_ERRORS = 50

M = TypeVar("M", bound=BaseModel)

#: The part of a form with the picture, and the one with the rest of a query, as JSON.
IMAGE, QUERY = "image", "query"
#: Bytes of the part with the rest of a query.
_MOST_QUERY = 1 << 22
#: Letters of a file's name that are shown.
_MOST_NAME = 200


class NoPictureError(CbirError):
    """The request has no picture where one has to be."""


class Form(NamedTuple):
    """A form: its picture, the rest of its query as JSON, and what the picture's file is called; empty if not said."""

    image: bytes
    query: str
    name: str


def is_form(request: Request) -> bool:
    """Return whether a body is a form with parts."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


async def read_form(request: Request) -> Form:
    """Return what a form says.

    Raises
    ------
    NoPictureError
    HTTPException
        It is no such form.
    """
    async with request.form(max_files=1, max_fields=1, max_part_size=_MOST_QUERY) as form:
        image, query = form.get(IMAGE), form.get(QUERY, "")
        if unknown := form.keys() - {IMAGE, QUERY}:
            raise NoPictureError(f"the form has a part '{min(unknown)}'; those known are {IMAGE} and {QUERY}")
        if not isinstance(image, UploadFile):
            raise NoPictureError(f"the form has no picture: send it as a file, in the part {IMAGE}")
        if not isinstance(query, str):
            raise NoPictureError(f"the part {QUERY} is text, not a file")
        return Form(_some(await image.read()), query, _shown_name(image.filename or ""))


async def read_picture(request: Request) -> bytes:
    """Return the picture that a body is, or that it has in a form; errors as above."""
    return (await read_form(request)).image if is_form(request) else _some(await request.body())


def validated(model: type[M], content: str | bytes) -> M:
    """Return JSON as a model; RequestValidationError if it is none."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        if error.error_count() > _MOST_ERRORS:  # each would be told, with where it is: megabytes
            message = f"{error.error_count():,} parts of it are not valid"
            raise RequestValidationError([{"loc": ("body",), "msg": message}]) from None
        errors = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_context=False)]
        raise RequestValidationError(errors) from None


def _shown_name(name: str) -> str:
    """Return the last part of a name that somebody sent, without letters that control how others are shown."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:_MOST_NAME].strip()


def _some(content: bytes) -> bytes:
    if not content:
        raise NoPictureError("the picture that was sent is empty (0 bytes)")
    return content


def form_schema(query: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a form with a picture as the OpenAPI document describes it; `query` is the schema of its other part."""
    parts: dict[str, Any] = {IMAGE: {"type": "string", "contentMediaType": "image/*", "format": "binary"}}
    content: dict[str, Any] = {}
    if query is not None:
        parts[QUERY] = query
        content["encoding"] = {QUERY: {"contentType": "application/json"}}
    form = {"type": "object", "properties": parts, "required": [IMAGE], "additionalProperties": False}
    return {"schema": form, **content}
