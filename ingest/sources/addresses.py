"""A picture at an http(s) address, fetched whole.

In: an address out of somebody's list. Out: the bytes behind it, bounded in
number and in time. An address may lead into the network that this machine is
in, by itself, by its host's name or by a redirect: so a host is looked up here,
is refused if it has a private address, unless that is allowed, and the
connection goes to the address that was looked at.
"""

import ipaddress
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from cbir.core.errors import first_line
from cbir.model.errors import ImageError

#: Of one picture, at the most: bytes, seconds in all, seconds without a byte, redirects.
MOST_BYTES, MOST_SECONDS, _SILENT_SECONDS, _MOST_REDIRECTS = 50_000_000, 60.0, 15.0, 5
#: Attempts, and the seconds between two: for servers that are busy for a moment.
_ATTEMPTS, _WAIT = 2, 1.0
_BUSY, _MOVED = frozenset((429, 500, 502, 503, 504)), frozenset((301, 302, 303, 307, 308))
_CONNECTIONS = 16
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address within
#: All that is the internet's of IPv6: elsewhere are older ways to write an IPv4 address, and translators' own networks.
_UNICAST = ipaddress.IPv6Network("2000::/3")
#: As it is stored: compressed on the way, a few bytes could become any number.
_HEADERS: dict[bytes | str, bytes | str] = {
    "User-Agent": "cbir",
    "Accept": "image/*, */*;q=0.5",
    "Accept-Encoding": "identity",
}

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class Fetcher:
    """Fetches pictures, in any thread, over connections that it keeps for the next one.

    Parameters
    ----------
    allow_private : bool
        Whether hosts may have private addresses, such as this machine's own.
    most_bytes : int
    most_seconds : float
    """

    def __init__(
        self, *, allow_private: bool = False, most_bytes: int = MOST_BYTES, most_seconds: float = MOST_SECONDS
    ) -> None:
        self._settings = (allow_private, most_bytes, most_seconds)
        self._allow_private, self._most_bytes, self._most_seconds = self._settings
        self._clock = _Clock()
        self._lock = threading.Lock()
        self._pools: dict[str | None, httpcore.ConnectionPool] = {}

    def __getstate__(self) -> tuple[bool, int, float]:
        return self._settings

    def __setstate__(self, settings: tuple[bool, int, float]) -> None:
        allow_private, most_bytes, most_seconds = settings
        self.__init__(allow_private=allow_private, most_bytes=most_bytes, most_seconds=most_seconds)  # type: ignore[misc]

    def fetch(self, address: str) -> bytes:
        """Return what is at an address.

        Raises
        ------
        ImageError
            No such thing, refused, too large, too slow, or no connection; the message names the address.
        """
        self._clock.end = time.monotonic() + self._most_seconds
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._follow(address)
            except _BusyError as error:
                if attempt == _ATTEMPTS or self._clock.left < 2 * _WAIT:
                    raise ImageError(f"{address}: {error}") from None
                time.sleep(_WAIT)
            except _RefusedError as error:
                raise ImageError(f"{address}: {error}") from None
            except httpcore.TimeoutException:
                seconds = self._most_seconds if self._clock.left <= 0 else _SILENT_SECONDS
                raise ImageError(f"{address}: not there within {seconds:.0f} seconds") from None
            except httpcore.ConnectError as error:
                raise ImageError(f"{address}: no connection ({first_line(error)})") from None
            except Exception as error:  # noqa: BLE001 - whatever an address or a server makes of the libraries
                raise ImageError(f"{address}: {first_line(error)}") from None
        raise AssertionError  # the last attempt returns or raises

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def _follow(self, address: str) -> bytes:
        url = httpx.URL(address)
        for _ in range(_MOST_REDIRECTS + 1):
            if url.scheme not in ("http", "https") or not url.host:
                raise _RefusedError(f"leads to '{url.scheme}:', where nothing is read")
            host = url.netloc.decode("ascii").rpartition("@")[2]
            target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
            timeout = {"connect": _SILENT_SECONDS, "read": _SILENT_SECONDS, "write": _SILENT_SECONDS, "pool": None}
            headers: dict[bytes | str, bytes | str] = {"Host": host, **_HEADERS}
            with self._pool(url).stream("GET", target, headers=headers, extensions={"timeout": timeout}) as response:
                given = {name.lower(): value.decode("latin-1") for name, value in response.headers}
                if response.status in _MOVED and b"location" in given:
                    url = url.join(given[b"location"])
                    continue
                if response.status != httpx.codes.OK:
                    reason = f"the server answered {response.status} {httpx.codes.get_reason_phrase(response.status)}"
                    raise (_BusyError if response.status in _BUSY else _RefusedError)(reason.strip())
                return b"".join(self._bounded(response, given.get(b"content-length", "")))
        raise _RefusedError(f"more than {_MOST_REDIRECTS} redirects")

    def _bounded(self, response: httpcore.Response, length: str) -> Iterator[bytes]:
        too_large = f"has more than {self._most_bytes / 1e6:.0f} MB"
        if length.isdecimal() and int(length) > self._most_bytes:
            raise _RefusedError(too_large)
        arrived = 0
        for chunk in response.iter_stream():
            arrived += len(chunk)
            if arrived > self._most_bytes:
                raise _RefusedError(too_large)
            yield chunk

    def _pool(self, url: httpx.URL) -> httpcore.ConnectionPool:
        """Return the connections to servers; where a proxy is set, those to it, which looks hosts up itself."""
        proxy = None if proxy_bypass(url.host) else getproxies().get(url.scheme)
        if proxy is not None and not self._allow_private:
            _refuse_private(url.host, _addresses(url.host, 0))
        with self._lock:
            if proxy not in self._pools:
                common: dict[str, Any] = {
                    "ssl_context": _trusted(),
                    "max_connections": _CONNECTIONS,
                    "keepalive_expiry": _SILENT_SECONDS,
                    "network_backend": _Network(self._clock, checked=proxy is None and not self._allow_private),
                }
                if proxy is None:
                    self._pools[proxy] = httpcore.ConnectionPool(**common)
                else:
                    read = httpx.Proxy(proxy)
                    self._pools[proxy] = httpcore.HTTPProxy(str(read.url), proxy_auth=read.raw_auth, **common)
                weakref.finalize(self, self._pools[proxy].close)
            return self._pools[proxy]


def is_address(text: str) -> bool:
    """Tell whether a text is the address of something on a server."""
    return text[:8].lower().startswith(("http://", "https://"))


def is_public(address: _Address) -> bool:
    """Tell whether an IP address is one of the internet's, also where one of IPv4 is written as one of IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast


class _RefusedError(Exception):
    """Why an address is not read."""


class _BusyError(Exception):
    """Why an address is not read now; another attempt may help."""


class _Clock(threading.local):
    """When the picture that this thread fetches has to be there."""

    end = 0.0

    @property
    def left(self) -> float:
        """In seconds."""
        return self.end - time.monotonic()

    def at_most(self, timeout: float | None) -> float:
        """Return a timeout that does not go beyond the end."""
        if self.left <= 0:
            raise httpcore.ReadTimeout
        return min(self.left, _SILENT_SECONDS if timeout is None else timeout)


class _Network(httpcore.NetworkBackend):
    """Connects to addresses that were looked at."""

    def __init__(self, clock: _Clock, *, checked: bool) -> None:
        self._clock, self._checked = clock, checked
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that answers."""
        found = _addresses(host, port)
        if not found:
            raise httpcore.ConnectError(f"no host of the name {host} is known")
        if self._checked:
            _refuse_private(host, found)
        for place, address in enumerate(found, 1):
            try:
                allowed = self._clock.at_most(timeout)
                stream = self._real.connect_tcp(str(address), port, allowed, local_address, socket_options)
                return _Stream(stream, self._clock)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if place == len(found):
                    raise
        raise AssertionError  # the last one returns or raises


class _Stream(httpcore.NetworkStream):
    """A connection on which a server cannot take its time for ever, a byte now and then."""

    def __init__(self, stream: httpcore.NetworkStream, clock: _Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._clock.at_most(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.at_most(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._clock.at_most(timeout))
        return _Stream(secured, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _refuse_private(host: str, found: Iterable[_Address]) -> None:
    private = next((address for address in found if not is_public(address)), None)
    if private is not None:
        raise _RefusedError(f"{host} is in a private network ({private}); fetched only with --allow-private")


def _addresses(host: str, port: int) -> list[_Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()
