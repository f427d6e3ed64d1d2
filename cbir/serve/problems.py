"""Errors as problem documents (RFC 9457): what a request gets in place of an answer.

In: exceptions. Out: `application/problem+json` with a status, a title and a detail that says what to do.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cbir.collection.errors import (
    CollectionBusyError,
    CollectionError,
    NoSuchCollectionError,
    NoSuchPointError,
    SearcherClosedError,
)
from cbir.collection.filter import FilterError
from cbir.core.errors import CbirError
from cbir.model.errors import ModelError
from cbir.serve.decoding import UnsupportedFormatError
from cbir.serve.gate import BusyError

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("cbir.serve")


class Problem(BaseModel):
    """A problem document, RFC 9457."""

    type: str = Field("about:blank", description="What kind of problem it is, as a URI.")
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What was wrong, and what to do.", examples=["no collection 'x'"])
    errors: list[dict[str, Any]] | None = Field(None, description="Which parts of the request are not valid.")


class NotFoundError(CbirError):
    """Something that is not there: a point, a picture, an upload."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return a problem document as a response."""
    document = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **more)
    return JSONResponse(document.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def add_problems(app: FastAPI) -> None:
    """Have an app answer errors with problem documents."""
    app.add_exception_handler(CbirError, _of_ours)
    app.add_exception_handler(BusyError, _of_busy)
    app.add_exception_handler(HTTPException, _of_http)  # type: ignore[arg-type]  # it gets no other
    app.add_exception_handler(RequestValidationError, _of_validation)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _of_defect)


#: What errors of ours mean, the first that fits; any other is the request's fault.
_STATUS: dict[type[CbirError], HTTPStatus] = {
    CollectionBusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    SearcherClosedError: HTTPStatus.SERVICE_UNAVAILABLE,  # the collection was replaced in between
    NoSuchCollectionError: HTTPStatus.NOT_FOUND,
    NoSuchPointError: HTTPStatus.NOT_FOUND,
    NotFoundError: HTTPStatus.NOT_FOUND,
    UnsupportedFormatError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    FilterError: HTTPStatus.UNPROCESSABLE_ENTITY,
    CollectionError: HTTPStatus.INTERNAL_SERVER_ERROR,
    ModelError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


#: What Starlette's own errors say in words.
_SAYING_NOTHING: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address; /api/openapi.json describes what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this is not done at this address; the header Allow names what is",
}


def _of_ours(_: Request, error: Exception) -> JSONResponse:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), None)
    headers = {"Retry-After": "5"} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(status or HTTPStatus.UNPROCESSABLE_ENTITY, str(error), headers)


def _of_busy(_: Request, error: Exception) -> JSONResponse:
    seconds = getattr(error, "retry_after", 1)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": str(seconds)})


def _of_http(_: Request, error: HTTPException) -> JSONResponse:
    detail = str(error.detail)
    if detail == HTTPStatus(error.status_code).phrase:
        detail = _SAYING_NOTHING.get(error.status_code, detail)
    return problem(error.status_code, detail, dict(error.headers or {}))


def _of_validation(_: Request, error: RequestValidationError) -> JSONResponse:
    errors = [
        {"where": [str(part) for part in each["loc"]], "message": each["msg"].removeprefix("Value error, ")}
        for each in error.errors()
    ]
    first = errors[0]
    detail = f"{'.'.join(first['where'])}: {first['message']}"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def _of_defect(_: Request, error: Exception) -> JSONResponse:
    _log.exception("unexpected error", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"unexpected {type(error).__name__}; the server's log says more")
