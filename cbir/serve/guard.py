"""Who may ask: what stands between the network and the application.

In: requests. Out: those that name this server (`Host`), come from no other page (`Origin`), and show a token where one
is wanted; others get a problem document, people the login page. Every answer gets the headers of `headers`. A page on
the web whose name is made to point at this machine (DNS rebinding) has another `Host`, and one that posts here from
elsewhere (cross-site request forgery) another `Origin`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response

from cbir.serve.headers import COMMON
from cbir.serve.pages.login import bounce_page, login_page
from cbir.serve.problems import problem
from cbir.serve.tokens import RIGHTS, Rights, Tokens

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cbir.serve.config import ServeConfig

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:\[\]@/?#]+?)\.?(?::\d{1,5})?", re.IGNORECASE)
_LOCAL = ("localhost", "127.0.0.1", "::1")
_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - what is compared, not bound
_READING = ("GET", "HEAD")
#: Who has no token yet needs these.
_LOGIN, _FILES = "/login", "/static/"
#: Who has logged out in another tab is not refused to do it here.
_LOGOUT = "/logout"
_METHODS, _HEADERS = "GET, HEAD, POST, DELETE", "Authorization, Content-Type"


class CommonHeaders:
    """Puts headers on every answer, also on that of an error that nobody expected."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in COMMON.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class Guard:
    """Lets requests through, or not.

    Parameters
    ----------
    app : ASGIApp
    config : ServeConfig
    tokens : Tokens
    """

    def __init__(self, app: ASGIApp, config: ServeConfig, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens
        self._names = {_plain(name) for name in (*_LOCAL, config.host, *config.hosts)}
        self._any_number = config.host in _ANY
        self._origins = frozenset(config.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        answer = (
            self._of_elsewhere(scope, headers) or self._preflight(scope, headers) or self._of_nobody(scope, headers)
        )
        if origin in self._origins:
            send = _with_origin(send, str(origin))
        await (answer or self._app)(scope, receive, send)

    def _of_elsewhere(self, scope: Scope, headers: Headers) -> Response | None:
        """Refuse what names another server, and what another page makes a browser ask."""
        hosts = headers.getlist("host")
        name = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            return problem(400, "a request names the server that it asks, once, in the header Host")
        if not self._is_ours(name[1], scope):
            return problem(421, f"this server is not {name[1]}; to ask it by that name, start it with --allow-host")
        if scope["method"] in _READING:
            return None
        origins = headers.getlist("origin")
        if origins:
            ours = all(_is_own(origin, hosts[0]) or origin in self._origins for origin in origins)
        else:
            ours = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        return None if ours else problem(403, "another page may not ask that; name it with --allow-origin")

    def _is_ours(self, host: str, scope: Scope) -> bool:
        name = _plain(host)
        at, _ = scope.get("server") or ("", None)
        # Nobody else can make a number point here, as a name can be made to.
        return name in self._names or name == at or (self._any_number and _is_number(name))

    def _preflight(self, scope: Scope, headers: Headers) -> Response | None:
        asks = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if not asks or headers.get("origin") not in self._origins:
            return None
        allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Allow-Headers": _HEADERS}
        return Response(status_code=204, headers={**allowed, "Access-Control-Max-Age": "600"})

    def _of_nobody(self, scope: Scope, headers: Headers) -> Response | None:
        """Say what a request may do; refuse it if that is nothing."""
        scope[RIGHTS] = rights = self._tokens.shown(headers, scope)
        path, reads = scope["path"], scope["method"] in _READING
        if reads and b"token=" in scope["query_string"]:
            answer = self._logged_in(scope)
            if answer is not None:
                return answer
        anybodys = path == _LOGIN or path.startswith(_FILES) or (path == _LOGOUT and not reads)
        if rights > Rights.NOTHING or anybodys:
            return None
        if not (reads and "text/html" in headers.get("accept", "")):
            challenge = {"WWW-Authenticate": "Bearer"}
            return problem(401, "show the server's token: Authorization: Bearer TOKEN", challenge)
        if headers.get("sec-fetch-site") == "cross-site" and "cookie" not in headers:
            return bounce_page()
        return login_page(_address(scope))

    def _logged_in(self, scope: Scope) -> Response | None:
        """Take a token out of an address: browsers get a cookie in its place, and an address that can be shown."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = [value for name, value in query if name == "token"]
        if not shown:
            return None
        without = [(name, value) for name, value in query if name != "token"]
        address = _address({**scope, "query_string": urlencode(without).encode()})
        answer = RedirectResponse(address, 303)
        if self._tokens.rights(shown[-1]) > Rights.NOTHING:
            answer.headers["Set-Cookie"] = self._tokens.cookie(shown[-1], scope)
        return answer


def _plain(host: str) -> str:
    """Return a host's name to compare, without the brackets of a number, and without a port."""
    found = _HOST.fullmatch(host)
    name = (found[1] if found else host).strip("[]").lower()
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_own(origin: str, host: str) -> bool:
    """Return whether a page's origin is this server, be it behind a proxy that speaks HTTPS."""
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and rest.lower() == host.lower()


def _address(scope: Scope) -> str:
    """Return a request's address on this server."""
    query = scope["query_string"].decode("latin-1")
    path = "/" + scope.get("raw_path", scope["path"].encode()).decode("latin-1").lstrip("/")
    return f"{path}?{query}" if query else path


def _with_origin(send: Send, origin: str) -> Send:
    async def with_origin(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers.add_vary_header("Origin")
        await send(message)

    return with_origin
