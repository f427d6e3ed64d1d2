"""Who may do what: tokens, as programs show them in a header and browsers in a cookie.

In: what a request shows. Out: what it may do. Without a token of the server's, everybody may read, which only loopback
allows; without one for writing, nobody may write.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import IntEnum
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Scope

    from cbir.serve.config import ServeConfig

#: Where the guard leaves in a request what it may do.
RIGHTS = "cbir.rights"
#: Seconds for which a browser stays logged in.
_REMEMBERED = 30 * 86_400


class Rights(IntEnum):
    """What a request may do; each includes those before."""

    NOTHING = 0
    READ = 1
    WRITE = 2


class Tokens:
    """The tokens of a server.

    Parameters
    ----------
    config : ServeConfig
    """

    def __init__(self, config: ServeConfig) -> None:
        self.of_everybody = Rights.READ if config.token is None else Rights.NOTHING
        known = ((config.token, Rights.READ), (config.write_token, Rights.WRITE))
        self._known = [(token.encode(), rights) for token, rights in known if token is not None]

    def rights(self, shown: str) -> Rights:
        """Return what a token allows; takes as long for any that is not known."""
        digest = _digest(shown.encode("utf-8", "surrogatepass"))
        return max(
            (rights for token, rights in self._known if hmac.compare_digest(_digest(token), digest)),
            default=Rights.NOTHING,
        )

    def shown(self, headers: Headers, scope: Scope) -> Rights:
        """Return what a request may do, by its header or its cookie, or because everybody may."""
        rights = self.of_everybody
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            rights = max(rights, self.rights(token.strip()))
        value = _cookie(headers, _name(scope)).encode("utf-8", "surrogatepass")
        for token_, allowed in self._known:
            if hmac.compare_digest(_of_cookie(token_).encode(), value):
                rights = max(rights, allowed)
        return rights

    def cookie(self, shown: str, scope: Scope) -> str:
        """Return the header `Set-Cookie` for a token that is known; the cookie does not tell the token."""
        return _set(scope, _of_cookie(shown.encode()), _REMEMBERED)

    def no_cookie(self, scope: Scope) -> str:
        """Return the header `Set-Cookie` that has a browser forget it."""
        return _set(scope, "", 0)

    def has_cookie(self, headers: Headers, scope: Scope) -> bool:
        """Tell whether a request has a cookie of this server's."""
        return bool(_cookie(headers, _name(scope)))


def _set(scope: Scope, value: str, seconds: int) -> str:
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return f"{_name(scope)}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _of_cookie(token: bytes) -> str:
    return hmac.new(token, b"cbir serve, a browser's cookie", hashlib.sha256).hexdigest()


def _name(scope: Scope) -> str:
    """Return a cookie's name: browsers do not tell servers at different ports of one machine apart."""
    server = scope.get("server")
    return f"cbir-{server[1] if server else 0}"


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


_bearer = HTTPBearer(auto_error=False, description="The token of `--token`, or of `--write-token` to change something.")


async def _writer(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> None:
    if request.app.state.cbir.config.write_token is None:
        raise HTTPException(403, "this server changes nothing; start it with --write-token, or CBIR_WRITE_TOKEN")
    if request.scope.get(RIGHTS, Rights.NOTHING) < Rights.WRITE:
        challenge = {"WWW-Authenticate": "Bearer"}
        raise HTTPException(401, "show the token of --write-token to change something", headers=challenge)


#: What an endpoint that changes something depends on: `def endpoint(..., _: Writer)`.
Writer = Annotated[None, Depends(_writer)]
