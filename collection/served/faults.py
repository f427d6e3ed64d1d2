"""What can go wrong between us and a Qdrant server, and what each fault means.

In: an exception of our own requests, of qdrant-client, httpx or gRPC. Out: a sentence for people,
and whether the fault may be temporary, so that a retry makes sense. Points have
deterministic ids, so every call may be repeated.
"""

import re
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from cbir.collection.served.rest import AnswerError, NoAnswerError, NotQdrantError
from cbir.core.errors import first_line

_UNAUTHENTICATED, _FORBIDDEN = 401, 403
_BAD_REQUEST, _TIMEOUT, _TOO_LARGE, _TOO_MANY = 400, 408, 413, 429

#: What Qdrant says where a disk is full; and in a node's words about what another one answered.
_FULL, _ANOTHERS = "No space left on device", "code: 'Internal error'"
#: Of what the server says.
_MOST_CHARACTERS = 400


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
    known: BaseException | None = error
    if not isinstance(error, AnswerError | NoAnswerError | NotQdrantError) and "qdrant_client" in sys.modules:
        from cbir.collection.served.client_faults import translated

        known = translated(error) or error
    if isinstance(known, AnswerError):
        return _response(known, url, key_given)
    if isinstance(known, NotQdrantError):
        return Fault(f"what answers at {url} is not Qdrant, or a version that this cbir does not understand", True)
    if isinstance(known, NoAnswerError):
        return _transport(known, url)
    if isinstance(error, TimeoutError):  # as `abandonable` says it
        return _late(url)
    return None


def _response(answer: AnswerError, url: str, key_given: bool) -> Fault:
    """Read an answer that reports an error: Qdrant gives a reason, anything else does not."""
    status, reason = answer.status, answer.reason
    if status == _TOO_MANY and answer.wait:
        return Fault(f"Qdrant at {url} gets too many requests ({reason or answer.phrase})", True, status, answer.wait)
    if reason is None:
        if status == _BAD_REQUEST:
            return Fault(f"a request to {url} was damaged on its way", True, status)
        if status == _TOO_LARGE:
            return Fault(
                f"a request is larger than what stands before Qdrant at {url} takes (HTTP 413): have it take "
                "32 MB, as Qdrant does",
                False,
                status,
            )
        if status not in (_UNAUTHENTICATED, _FORBIDDEN, _TIMEOUT, _TOO_MANY) and status < 500:
            return Fault(f"what answers at {url} is not Qdrant (HTTP {status}); check the URL and its path", False)
    return _status(status, reason or answer.phrase, url, key_given)


def _status(status: int, reason: str, url: str, key_given: bool) -> Fault:
    """Return the fault that a status code of Qdrant's means."""
    # Of a cluster, the lines after the first name the node that failed.
    reason = " ".join(reason.split())[:_MOST_CHARACTERS] or "no reason given"
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
    if _FULL in reason:  # for a while, it may be: optimizers write segments anew before they remove the old ones
        if _ANOTHERS in reason:
            where = f"of one of the other nodes of Qdrant's cluster at {url} is full, as that node's log says"
        else:
            where = f"of Qdrant at {url} is full"
        return Fault(f"the disk {where}: make room there", True, status)
    # We send only valid JSON: what Qdrant refuses as invalid was damaged on its way.
    temporary = status >= 500 or status in (_TIMEOUT, _TOO_MANY) or "error in JSON body" in reason
    return Fault(f"Qdrant at {url} {'failed' if temporary else 'refused'}: {reason}", temporary, status)


def _late(url: str) -> Fault:
    return Fault(f"Qdrant at {url} did not answer in time", True)


def _transport(error: NoAnswerError, url: str) -> Fault:
    """Return the fault of a request that got no answer, or none that can be read."""
    for cause in _causes(error.__cause__):
        if isinstance(cause, ssl.SSLError):
            return _tls(url, str(cause))
        if isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN:
            return Fault(f"the host of {url} is unknown ({cause.strerror or cause})", False)
        if isinstance(cause, UnicodeError):  # of a name that no host can have
            return Fault(f"the host of {url} is unknown ({cause})", False)
        if isinstance(cause, TimeoutError):
            return _late(url)
    reason = re.sub(r"^\[Errno -?\d+\] ", "", first_line(error.__cause__ or error))
    if not error.reachable:
        return Fault(f"no Qdrant server can be reached at {url} ({reason})", True)
    return Fault(
        f"the connection to {url} broke ({reason}); check that this is the REST port (6333, not 6334), "
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
