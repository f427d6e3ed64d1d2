"""Errors of qdrant-client, httpx and gRPC, in the words of our own.

Imported once one of these libraries is: a search does without them.
"""

import json
import math
import ssl
from traceback import walk_tb

import grpc
import httpx
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from cbir.collection.served.rest import AnswerError, NoAnswerError, NotQdrantError

_STATUS = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.DEADLINE_EXCEEDED: 408,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_TOO_MANY = 429
_CLIENT = ("qdrant_client", "httpx", "json", "pydantic")


def translated(error: BaseException) -> AnswerError | NoAnswerError | NotQdrantError | None:
    """Return an error as `cbir.collection.served.rest` has it; None if it comes from none of these libraries."""
    if isinstance(error, ResourceExhaustedResponse):
        return _answer(_TOO_MANY, str(error), str(math.ceil(error.retry_after_s)))
    if isinstance(error, grpc.RpcError):
        return _of_grpc(error)
    if isinstance(error, UnexpectedResponse):
        return AnswerError(error.status_code or 500, error.reason_phrase, error.content)
    if isinstance(error, ResponseHandlingException):
        return _of_transport(error.source)
    if isinstance(error, httpx.HTTPError | json.JSONDecodeError | UnicodeDecodeError):
        return _of_transport(error)
    # qdrant-client asserts that an answer has a result, and reads one however deep it is.
    return _of_transport(error) if isinstance(error, AssertionError | RecursionError) and _is_of_client(error) else None


def _is_of_client(error: BaseException) -> bool:
    """Tell whether qdrant-client, or what it reads answers by, raised an error, and nothing that is called by it."""
    module = ""
    for frame, _ in walk_tb(error.__traceback__):
        module = frame.f_globals.get("__name__", "").partition(".")[0]
    return module in _CLIENT


def _of_transport(error: BaseException) -> NoAnswerError | NotQdrantError:
    if isinstance(error, ValidationError | ValueError | AssertionError | RecursionError):
        return NotQdrantError()
    if isinstance(error, httpx.TimeoutException):
        return _caused(TimeoutError(str(error)))
    return _caused(error, reachable=not isinstance(error, httpx.ConnectError))


def _of_grpc(error: grpc.RpcError) -> AnswerError | NoAnswerError:
    code, details = error.code(), error.details() or ""
    if code == grpc.StatusCode.UNAVAILABLE and "SSL" in details:
        return _caused(ssl.SSLError(0, details), reachable=False)
    if code == grpc.StatusCode.UNAVAILABLE and details.startswith("failed to connect to all addresses"):
        return _caused(OSError(details.rpartition(": ")[2]), reachable=False)
    if code == grpc.StatusCode.DEADLINE_EXCEEDED and details == "Deadline Exceeded":  # else the server says it
        return _caused(TimeoutError(details))
    return _answer(_STATUS.get(code, 500), details or code.name)


def _caused(error: BaseException, *, reachable: bool = True) -> NoAnswerError:
    made = NoAnswerError(reachable=reachable)
    made.__cause__ = error
    return made


def _answer(status: int, reason: str, retry_after: str | None = None) -> AnswerError:
    content = json.dumps({"status": {"error": reason}}).encode()
    return AnswerError(status, reason, content, retry_after)
