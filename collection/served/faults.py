"""What can go wrong between us and a Qdrant server, and what each fault means.

In: an exception of qdrant-client, httpx or gRPC. Out: a sentence for people,
and whether the fault may be temporary, so that a retry makes sense. Points have
deterministic ids, so every call may be repeated.
"""

import json
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import httpx
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from cbir.core.errors import first_line

_UNAUTHENTICATED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_BAD_REQUEST, _TIMEOUT, _TOO_MANY = 400, 408, 429

_CODES = {
    grpc.StatusCode.UNAUTHENTICATED: _UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: _FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: _NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT: _BAD_REQUEST,
    grpc.StatusCode.FAILED_PRECONDITION: _BAD_REQUEST,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.DEADLINE_EXCEEDED: _TIMEOUT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: _TOO_MANY,
    grpc.StatusCode.UNAVAILABLE: 503,
}


@dataclass(frozen=True)
class Fault:
    """A fault of a call.

    Attributes
    ----------
    message : str
        What happened and what to do about it.
    temporary : bool
        A retry may succeed.
    status : int
        HTTP's (gRPC's codes are translated into HTTP's); 0 if there was no answer.
    wait : float
        Seconds that the server asks us to wait before the next request.
    """

    message: str
    temporary: bool
    status: int = 0
    wait: float = 0.0


def fault(error: BaseException, url: str, key_given: bool) -> Fault | None:
    """Return what an exception means; None if it comes neither from the connection nor from the server.

    Parameters
    ----------
    error : BaseException
    url : str
        The server's, without a key.
    key_given : bool
        Whether a key is sent with each request.
    """
    if isinstance(error, ResourceExhaustedResponse):
        return Fault(f"Qdrant at {url} gets too many requests ({error})", True, _TOO_MANY, error.retry_after_s)
    if isinstance(error, grpc.RpcError):
        code, details = error.code(), error.details() or ""
        if code == grpc.StatusCode.UNAVAILABLE and "SSL" in details:
            return _tls(url, details)
        return _status(_CODES.get(code, 500), details or code.name, url, key_given)
    if isinstance(error, UnexpectedResponse):
        return _response(error, url, key_given)
    if isinstance(error, ResponseHandlingException):
        return _transport(error.source, url)
    if isinstance(error, TimeoutError):  # as `abandonable` says it
        return Fault(f"Qdrant at {url} did not answer in time", True)
    # qdrant-client asserts that an answer has a result.
    if isinstance(error, httpx.HTTPError | json.JSONDecodeError | UnicodeDecodeError | AssertionError):
        return _transport(error, url)
    return None


def _response(error: UnexpectedResponse, url: str, key_given: bool) -> Fault:
    """Read an answer that reports an error: Qdrant's are JSON, those of anything else are not."""
    status = error.status_code or 500
    try:
        answer = json.loads(error.content)
        reason = str(answer["status"]["error"] if isinstance(answer["status"], dict) else answer["status"])
    except (ValueError, KeyError, TypeError):
        if status == _BAD_REQUEST:
            return Fault(f"a request to {url} was damaged on its way", True, status)
        if status in (_UNAUTHENTICATED, _FORBIDDEN) or status >= 500 or status in (_TIMEOUT, _TOO_MANY):
            return _status(status, error.reason_phrase, url, key_given)
        return Fault(f"what answers at {url} is not Qdrant (HTTP {status}); check the URL and its path", False)
    return _status(status, reason, url, key_given)


def _status(status: int, reason: str, url: str, key_given: bool) -> Fault:
    """Return the fault that a status code of Qdrant's means."""
    reason = reason.strip().splitlines()[0][:300] if reason.strip() else "no reason given"
    if status == _UNAUTHENTICATED or (status == _FORBIDDEN and "api key" in reason.lower()):
        if key_given:
            return Fault(f"Qdrant at {url} refuses the key in QDRANT_API_KEY", False, status)
        return Fault(f"Qdrant at {url} asks for a key: set QDRANT_API_KEY", False, status)
    if status == _FORBIDDEN:
        return Fault(
            f"the key in QDRANT_API_KEY may not do this at {url} (a read-only key? Qdrant says: {reason}); "
            "set a key that may write",
            False,
            status,
        )
    # We send only valid JSON: what Qdrant refuses as invalid was damaged on its way.
    temporary = status >= 500 or status in (_TIMEOUT, _TOO_MANY) or "error in JSON body" in reason
    return Fault(f"Qdrant at {url} {'failed' if temporary else 'refused'}: {reason}", temporary, status)


def _transport(error: BaseException, url: str) -> Fault:
    """Return the fault of a request that got no answer, or none that can be read."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return _tls(url, str(cause))
        if isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN:
            return Fault(f"the host of {url} is unknown ({cause.strerror or cause})", False)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL | httpx.LocalProtocolError):
        return Fault(f"no request can be sent to {url} ({type(error).__name__})", False)
    if isinstance(error, httpx.TimeoutException):
        return Fault(f"Qdrant at {url} did not answer in time", True)
    if isinstance(error, httpx.ConnectError):
        reason = re.sub(r"^\[Errno -?\d+\] ", "", first_line(error))
        return Fault(f"no Qdrant server can be reached at {url} ({reason})", True)
    if isinstance(error, ValidationError | ValueError | AssertionError):
        return Fault(
            f"what answers at {url} is not Qdrant, or a version that this qdrant-client does not understand", True
        )
    return Fault(
        f"the connection to {url} broke ({first_line(error)}); check that this is the REST port (6333, not 6334), "
        "and write https:// if the server uses TLS",
        True,
    )


def _tls(url: str, reason: str) -> Fault:
    """Return the fault of a failed TLS handshake."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return Fault(
            f"the certificate of {url} is not trusted ({reason.rpartition(':')[0].rpartition('] ')[2] or reason}); "
            "name the file with its authority's certificate in SSL_CERT_FILE",
            False,
        )
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER" in reason:
        return Fault(f"{url} does not use TLS; write http://", False)
    # A server that restarts ends the handshake in the middle.
    return Fault(f"the TLS connection to {url} failed ({reason})", "EOF" in reason)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
