"""Requests to a Qdrant server, and its answers: JSON over HTTP.

In: a method, a path and JSON values. Out: the JSON value that the server answers, or an error that says how the request
failed. Python's own HTTP does it, since a search waits for imports: qdrant-client takes 1 s of them, httpx 0.1 s, this
0.03 s. Behind a proxy, of whose kinds there are many, httpx sends the requests.
"""

import http.client
import json
import os
import selectors
import ssl
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cbir.collection.served.address import Address

if TYPE_CHECKING:
    import httpx

_TOO_MANY = 429

#: Seconds for which a connection is kept that nobody uses. What lies between may forget it after some minutes, and says
#: nothing: a request would wait in vain for as long as one may.
_KEPT = 30.0

#: An answer: its status, that in words, when to ask again, and its content.
_Answer = tuple[int, str, str | None, bytes]


class NoAnswerError(Exception):
    """No answer came, or none that can be read; the cause says why.

    Attributes
    ----------
    reachable : bool
        A connection was made.
    """

    def __init__(self, *, reachable: bool = True) -> None:
        super().__init__("no answer")
        self.reachable = reachable


class NotQdrantError(Exception):
    """An answer that cannot be Qdrant's."""


class AnswerError(Exception):
    """An answer that reports an error.

    Attributes
    ----------
    status : int
        HTTP's.
    phrase : str
        HTTP's words for it.
    reason : str or None
        Qdrant's own words; None if it was not Qdrant that answered.
    wait : float
        Seconds that the server asks to wait before the next request.
    """

    def __init__(self, status: int, phrase: str, content: bytes, retry_after: str | None = None) -> None:
        super().__init__(f"{status} {phrase}")
        self.status = status
        self.phrase = phrase
        try:
            answer = json.loads(content)["status"]
            self.reason: str | None = str(answer["error"] if isinstance(answer, dict) else answer)
        except (ValueError, KeyError, TypeError, RecursionError):
            self.reason = None
        self.wait = float(retry_after) if status == _TOO_MANY and retry_after and retry_after.isdecimal() else 0.0


class Rest:
    """Sends requests; threads may share it.

    Parameters
    ----------
    address : Address
    headers : dict
        Sent with each request, the key among them.
    behind_proxy : callable
        Makes a client that heeds the environment's proxies; called if there are any.

    Raises
    ------
    OSError
        The certificates that the environment names cannot be read.
    """

    def __init__(self, address: Address, headers: dict[str, str], behind_proxy: Callable[[], "httpx.Client"]) -> None:
        parts = urlsplit(address.url)
        self._host, self._port, self._path = address.host, parts.port, parts.path
        self._local = address.local
        self._headers = {"Content-Type": "application/json", **headers}
        if not address.local:  # vectors are 2.6 times smaller so, which on this machine would only take time
            self._headers["Accept-Encoding"] = "gzip"
        self._tls = _tls_context() if address.secure else None
        self._proxied = _BehindProxy(behind_proxy()) if not address.local and _has_proxy(parts.scheme) else None
        self._lock = threading.Lock()
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []

    def send(self, method: str, path: str, body: object, timeout: float) -> Any:
        """Send a request, and return the answer's JSON value.

        Parameters
        ----------
        method : str
        path : str
            Below the server's address, quoted.
        body : object
            JSON values; None: no body.
        timeout : float
            Seconds to wait for the server, each time that it is waited for.

        Raises
        ------
        NoAnswerError, NotQdrantError, AnswerError
        """
        content = None if body is None else json.dumps(body).encode()
        exchange = self._exchange if self._proxied is None else self._proxied.exchange
        status, phrase, retry_after, answer = exchange(method, path, content, timeout)
        if not 200 <= status < 300:
            raise AnswerError(status, phrase, answer, retry_after)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise NotQdrantError from error

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()
        if self._proxied is not None:
            self._proxied.close()

    def _exchange(self, method: str, path: str, content: bytes | None, timeout: float) -> _Answer:
        connection = self._connection(timeout)
        try:
            connection.request(method, f"{self._path}{path}", content, self._headers)
            answer = connection.getresponse()
            told = answer.read()
            if answer.getheader("Content-Encoding") == "gzip":
                told = _unpacked(told)
            read = answer.status, answer.reason, answer.getheader("Retry-After"), told
        except (OSError, EOFError, http.client.HTTPException) as error:
            connection.close()
            raise NoAnswerError from error
        except BaseException:
            connection.close()
            raise
        # On this machine a connection costs next to nothing, and one that is kept may wait 40 ms for an answer, until
        # the system acknowledges the first half of it.
        if self._local or answer.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append((time.monotonic(), connection))
        return read

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection that nobody uses: one that is kept, or a new one."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                since, connection = self._idle.pop()
            if time.monotonic() - since < _KEPT and not _has_ended(connection):
                connection.sock.settimeout(timeout)
                return connection
            connection.close()
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=timeout)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        )
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            connection.close()
            raise NoAnswerError(reachable=False) from error
        return connection


def _has_ended(connection: http.client.HTTPConnection) -> bool:
    """Tell whether the server has closed a connection: that can be read, and nothing else, as nothing was asked."""
    with selectors.DefaultSelector() as selector:  # unlike `select`, for any number of open files
        selector.register(connection.sock, selectors.EVENT_READ)
        return bool(selector.select(0))


class _BehindProxy:
    """Sends requests by httpx, which has the key and the server's address."""

    def __init__(self, sender: "httpx.Client") -> None:
        self._sender = sender

    def exchange(self, method: str, path: str, content: bytes | None, timeout: float) -> _Answer:
        import httpx

        headers = {"Content-Type": "application/json"}
        try:
            answer = self._sender.request(method, path, content=content, headers=headers, timeout=timeout)
        except httpx.TimeoutException as error:
            raise NoAnswerError from TimeoutError(str(error))
        except httpx.HTTPError as error:
            raise NoAnswerError(reachable=not isinstance(error, httpx.ConnectError)) from error
        return answer.status_code, answer.reason_phrase, answer.headers.get("Retry-After"), answer.content

    def close(self) -> None:
        self._sender.close()


def _unpacked(content: bytes) -> bytes:
    """Unpack an answer; OSError or EOFError for one that was damaged on its way."""
    import gzip
    import zlib

    try:
        return gzip.decompress(content)
    except zlib.error as error:
        raise OSError(str(error)) from error


def _tls_context() -> ssl.SSLContext:
    """Return what checks certificates, as httpx and so qdrant-client do it."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folder:
        import certifi

        file = certifi.where()
    return ssl.create_default_context(cafile=file or None, capath=None if file else folder)


def _has_proxy(scheme: str) -> bool:
    """Tell whether the environment, or the system's settings, name a proxy."""
    from urllib.request import getproxies

    return not {scheme, "all"}.isdisjoint(getproxies())
