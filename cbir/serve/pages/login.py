"""`/login`: where people show the server's token, and their browser gets a cookie in its place; `/logout`."""

from __future__ import annotations

import re

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cbir.serve.pages.frame import bare, pages_router
from cbir.serve.state import Served
from cbir.serve.tokens import Rights

router = pages_router()

#: An address on this server: one that begins with two slashes is on another, and browsers take `\` for a slash.
_OWN = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")
_FIELDS = 4


@router.get("/login")
async def login(next: str = "/") -> Response:  # noqa: A002 - as the form has it
    """Ask for the token."""
    return login_page(next, 200)


@router.post("/login")
async def logged_in(request: Request, served: Served) -> Response:
    """Give a browser whose user knows a token its cookie."""
    async with request.form(max_files=0, max_fields=_FIELDS) as form:
        token, after = form.get("token", ""), form.get("next", "/")
    if not isinstance(token, str) or served.tokens.rights(token.strip()) == Rights.NOTHING:
        return login_page(str(after), wrong=True)
    answer = RedirectResponse(_own(str(after)), 303)
    answer.headers["Set-Cookie"] = served.tokens.cookie(token.strip(), request.scope)
    return answer


@router.post("/logout")
async def logged_out(request: Request, served: Served) -> Response:
    """Have a browser forget its cookie."""
    answer = RedirectResponse("/login", 303)
    answer.headers["Set-Cookie"] = served.tokens.no_cookie(request.scope)
    return answer


def login_page(after: str, status: int = 401, *, wrong: bool = False) -> HTMLResponse:
    """Return the page that asks for the token, and then leads to an address of this server."""
    return bare("login.html", status, after=_own(after), wrong=wrong)


def bounce_page() -> HTMLResponse:
    """Return a page that asks for itself again: browsers keep a strict cookie back where another page has a link here.

    That it is asked by this one then, they say themselves, so that it happens once.
    """
    return bare("bounce.html", 401)


def _own(address: str) -> str:
    return address if _OWN.fullmatch(address) else "/"
