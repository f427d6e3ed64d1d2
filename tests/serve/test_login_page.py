"""Logging in, in a real browser, and what a page elsewhere can make it do."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.serve.browser import opened, serving
from tests.website import Quiet, served

TOKEN = "correct-horse"


@contextmanager
def elsewhere(page: str) -> Iterator[str]:
    """Serve a page on another site: browsers tell `localhost` and `127.0.0.1` apart."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url.replace("127.0.0.1", "localhost") + "/"


def is_in(page: Page) -> bool:
    return page.get_by_label("Token").count() == 0


def test_a_browser_is_let_in_with_the_token_and_no_other_page_can_use_that(browser: Browser, home: Path):
    with serving(home, "--token", TOKEN) as printed:
        address, _, query = printed.partition("?")
        assert query == f"token={TOKEN}"
        with opened(browser) as page:
            page.goto(printed)
            assert is_in(page)
            assert page.url == address, "the token does not stay where it is seen"
        link = f'<a href="{address}">there</a>'
        post = f'<form method="post" action="{address}api/uploads"><button>post</button></form>'
        with elsewhere(link + post) as site, opened(browser) as page:
            page.goto(address)
            page.get_by_label("Token").fill("guess")
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("alert")).to_contain_text("not the token")
            page.get_by_label("Token").fill(TOKEN)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url(address)
            assert is_in(page)
            (cookie,) = page.context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            page.goto(site)
            page.get_by_role("link").click()
            page.wait_for_url(address)
            expect(page.get_by_role("banner")).to_be_visible()
            assert is_in(page), "a link leads in"
            page.goto(site)
            with page.expect_response("**/api/uploads") as answer:
                page.get_by_role("button").click()
            assert answer.value.status == 403
