"""What can go wrong between us and a Qdrant server, and what each fault means.

In: an exception of qdrant-client, httpx or gRPC. Out: a sentence for people,
and whether the fault may pass by itself, so that trying again makes sense.
Points have deterministic ids, so every call may be made twice.
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
        What it is and what to do about it.
    passing : bool
        It may be gone the next moment.
    status : int
        HTTP's (gRPC's codes are told as the like of HTTP); 0 if there was no answer.
    wait : float
        Seconds that the server asks to be left alone.
    """

    message: str
    passing: bool
    status: int = 0
    wait: float = 0.0


def fault(error: BaseException, url: str, key_given: bool) -> Fault | None:
    """Tell what an exception means; None if it is none of the connection's or the server's.

    Parameters
    ----------
    error : BaseException
    url : str
        The server's, without a key.
    key_given : bool
        Whether a key was sent along.
    """
    if isinstance(error, ResourceExhaustedResponse):
        return Fault(f"Qdrant at {url} is asked too much ({error})", True, _TOO_MANY, error.retry_after_s)
    if isinstance(error, grpc.RpcError):
        code, details = error.code(), error.details() or ""
        if code == grpc.StatusCode.UNAVAILABLE and "SSL" in details:
            return _tls(url, details)
        return _status(_CODES.get(code, 500), details or code.name, url, key_given)
    if isinstance(error, UnexpectedResponse):
        return _response(error, url, key_given)
    if isinstance(error, ResponseHandlingException):
        return _transport(error.source, url)
    # qdrant-client asserts that an answer has a result.
    if isinstance(error, httpx.HTTPError | json.JSONDecodeError | UnicodeDecodeError | AssertionError):
        return _transport(error, url)
    return None


def _response(error: UnexpectedResponse, url: str, key_given: bool) -> Fault:
    """Read an answer that is no success: Qdrant's own are JSON, anything else's are not."""
    status = error.status_code or 500
    try:
        answer = json.loads(error.content)
        told = str(answer["status"]["error"] if isinstance(answer["status"], dict) else answer["status"])
    except (ValueError, KeyError, TypeError):
        if status == _BAD_REQUEST:
            return Fault(f"a request to {url} arrived damaged", True, status)
        if status in (_UNAUTHENTICATED, _FORBIDDEN) or status >= 500 or status in (_TIMEOUT, _TOO_MANY):
            return _status(status, error.reason_phrase, url, key_given)
        return Fault(f"what answers at {url} is not Qdrant (HTTP {status}); see that URL and path are right", False)
    return _status(status, told, url, key_given)


def _status(status: int, told: str, url: str, key_given: bool) -> Fault:
    told = told.strip().splitlines()[0][:300] if told.strip() else "no reason given"
    if status == _UNAUTHENTICATED or (status == _FORBIDDEN and "api key" in told.lower()):
        if key_given:
            return Fault(f"Qdrant at {url} refuses the key in QDRANT_API_KEY", False, status)
        return Fault(f"Qdrant at {url} asks for a key: set QDRANT_API_KEY", False, status)
    if status == _FORBIDDEN:
        return Fault(
            f"the key in QDRANT_API_KEY may not do this at {url} (a read-only key? Qdrant says: {told}); "
            "set one that may write",
            False,
            status,
        )
    # We send no JSON that Qdrant cannot read: what it refuses as such was damaged on its way.
    passing = status >= 500 or status in (_TIMEOUT, _TOO_MANY) or "error in JSON body" in told
    return Fault(f"Qdrant at {url} {'failed' if passing else 'refused'}: {told}", passing, status)


def _transport(error: BaseException, url: str) -> Fault:
    """Tell why no answer came."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return _tls(url, str(cause))
        if isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN:
            return Fault(f"the host of {url} is not known ({cause.strerror or cause})", False)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL | httpx.LocalProtocolError):
        return Fault(f"{url} cannot be asked ({type(error).__name__})", False)
    if isinstance(error, httpx.TimeoutException):
        return Fault(f"Qdrant at {url} does not answer in time", True)
    if isinstance(error, httpx.ConnectError):
        told = re.sub(r"^\[Errno -?\d+\] ", "", first_line(error))
        return Fault(f"no Qdrant server can be reached at {url} ({told})", True)
    if isinstance(error, ValidationError | ValueError | AssertionError):
        return Fault(f"what answers at {url} is not Qdrant, or not one that this qdrant-client understands", True)
    return Fault(
        f"the connection to {url} broke ({first_line(error)}); see that this is the port for REST (6333, not 6334), "
        "and if that server uses TLS, write https://",
        True,
    )


def _tls(url: str, told: str) -> Fault:
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return Fault(
            f"the certificate of {url} is not trusted ({told.rpartition(':')[0].rpartition('] ')[2] or told}); "
            "name the file of its authority with SSL_CERT_FILE",
            False,
        )
    if "WRONG_VERSION_NUMBER" in told or "RECORD_LAYER" in told:
        return Fault(f"{url} does not speak TLS; write http://", False)
    # An end in the middle is what a server that restarts gives.
    return Fault(f"TLS with {url} fails ({told})", "EOF" in told)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
