"""How a server is run: where it listens, who may ask, and how much at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cbir.core.errors import CbirError
from cbir.core.hosts import is_loopback

MIB = 1 << 20


@dataclass(frozen=True)
class ServeConfig:
    """How a server is run.

    Attributes
    ----------
    host, port : str, int
        Where it listens; port 0: a free one.
    token : str or None
        Whoever asks must show it; None: nobody needs one, which only loopback allows.
    write_token : str or None
        Whoever changes a collection must show it; None: nobody may.
    hosts : tuple of str
        Names under which the server may be asked, beside its own: what a browser sends as `Host`.
    origins : tuple of str
        Pages of other servers that may ask (CORS); none by default.
    collection : str or None
        The one that is shown first; None: the one ingested last.
    most_bytes, most_pixels : int
        Of an uploaded picture.
    body_seconds, pause_seconds : float
        For a request's body to come, and for its next part.
    bodies_bytes : int
        Of all bodies that come or are worked on at once.
    workers, waiting : int
        Requests in work at once, and those that may wait; beyond these, 503.
    uploads_bytes : int
        Of all uploaded pictures that are kept, for as long as the server runs; the oldest go first.
    thumbnails_bytes : int
        Of the thumbnails that are kept on disk; those not used for longest go first.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    write_token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    collection: str | None = None
    most_bytes: int = 64 * MIB
    most_pixels: int = 200_000_000
    body_seconds: float = 120.0
    pause_seconds: float = 15.0
    bodies_bytes: int = 512 * MIB
    workers: int = 8
    waiting: int = 64
    uploads_bytes: int = 256 * MIB
    thumbnails_bytes: int = 512 * MIB

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise CbirError(f"--port is {self.port}; a port is a number from 0 to 65535")
        for token in (self.token, self.write_token):
            if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
                raise CbirError("a token is letters, digits and signs without spaces; set it again")
        for host in self.hosts:
            if not re.fullmatch(r"[^\s/@?#]+", host):
                raise CbirError(f"--allow-host is '{host}'; give a name as browsers send it, such as pictures.example")
        for origin in self.origins:
            if not re.fullmatch(r"https?://[^\s/@?#*]+", origin):
                raise CbirError(
                    f"--allow-origin is '{origin}'; give where the page is, such as https://pictures.example"
                )
        if not self.local and self.token is None:
            raise CbirError(
                f"{self.host} can be reached by others: give a token that they must show with --token or CBIR_TOKEN"
            )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)
