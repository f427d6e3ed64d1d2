"""The address of a Qdrant server: a validated URL.

The key is never part of it: it comes from the environment and goes into a
header, so that no URL, message or list of processes can show it.
"""

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cbir.collection.errors import CollectionError
from cbir.core.hosts import is_loopback

_REST_PORT = 6333
_HOST = re.compile(r"[\w.:\-]+")


@dataclass(frozen=True)
class Address:
    """A server's address.

    Attributes
    ----------
    url : str
        Scheme, host, port and path; never a user, a password or a query.
    host : str
    secure : bool
        TLS.
    grpc_port : int
        Where the server offers gRPC, if it does.
    """

    url: str
    host: str
    secure: bool
    grpc_port: int

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(self.host)


def address(url: str) -> Address:
    """Read a server's URL.

    Parameters
    ----------
    url : str
        `http://` or `https://`, host, port (default 6333), and the path of a proxy if there
        is one. The gRPC port is the next one (6334), or `QDRANT_GRPC_PORT`.

    Raises
    ------
    CollectionError
        Not such a URL, or one that contains a key. The message does not repeat it.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = _REST_PORT if parts.port is None else parts.port
    except ValueError:
        raise CollectionError("the Qdrant URL is not valid; write it like http://localhost:6333") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise CollectionError(
            "the Qdrant URL contains more than host, port and path; "
            "put a key into the environment variable QDRANT_API_KEY, where no log shows it"
        )
    name = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(name):
        raise CollectionError("the Qdrant URL must be like http://localhost:6333 or https://host:6333")
    host = f"[{name}]" if ":" in name else name
    return Address(
        url=f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}",
        host=name,
        secure=parts.scheme == "https",
        grpc_port=_grpc_port(port),
    )


def _grpc_port(rest_port: int) -> int:
    given = os.environ.get("QDRANT_GRPC_PORT", "")
    if not given:
        return rest_port + 1
    if not given.isdecimal() or not 0 < int(given) < 65536:
        raise CollectionError(f"QDRANT_GRPC_PORT must be a port number, not '{given}'")
    return int(given)
