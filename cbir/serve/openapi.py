"""The OpenAPI document: what FastAPI makes of the routes, and the problems that each of them may answer.

In: the application. Out: the document, with problem documents (RFC 9457) by their status in place of FastAPI's own.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from cbir.serve.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from fastapi import FastAPI

_ALWAYS = (400, 401, 403, 421, 500, 503)
#: Of requests with a body.
_BODY = (408, 413, 415, 422)
#: What a status means here, and an example of its detail.
_ABOUT = {
    400: ("The request cannot be read.", "the form has no end"),
    401: ("A token is needed.", "show the server's token: Authorization: Bearer TOKEN"),
    403: ("This is not allowed.", "this server changes nothing"),
    404: (
        "There is no such thing.",
        "no collection 'x' in /home/me/.local/share/cbir/collections (collections: digits)",
    ),
    408: ("The request came too slowly.", "the body did not come within 60 s"),
    413: ("The picture or the request is too large.", "the request has more than 64 MiB"),
    415: ("It is no picture in a format that is read, or no such body.", "the uploaded file is not a picture"),
    422: ("The request is not valid.", "'labe=7': no picture has a field 'labe'; did you mean 'label'?"),
    421: ("The request names another server.", "this server is not example.org"),
    500: ("A collection cannot be read, or this is a defect.", "collection 'x' is damaged; cbir check says more"),
    501: (
        "What it needs is not installed.",
        "to arrange pictures by their neighbours: pip install '.[map]' in cbir's folder",
    ),
    503: (
        "Too many requests at once, or the collection is in use.",
        "too many requests at once; ask again in a moment",
    ),
}
_REF = "#/components/schemas/Problem"


def add_document(app: FastAPI) -> None:
    """Have an application answer with this document."""

    def document() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's manual has it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _describe(path, operation)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return document


def _describe(path: str, operation: dict[str, Any]) -> None:
    statuses = {*_ALWAYS}
    if "{" in path:
        statuses.add(404)
    if "requestBody" in operation:
        statuses.update(_BODY)
    if operation.get("parameters"):
        statuses.add(422)
    answers = operation["responses"]
    statuses.update(int(each) for each in answers if each.isdigit() and int(each) in _ABOUT)
    for status in sorted(statuses):
        answers[str(status)] = _response(status)


def _response(status: int) -> dict[str, Any]:
    about, detail = _ABOUT[status]
    example = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    response: dict[str, Any] = {
        "description": about,
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF}, "example": example}},
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["headers"] = {
            "Retry-After": {"description": "Seconds after which to ask again.", "schema": {"type": "string"}}
        }
    return response
