"""A real browser before a real server, for the tests of pages: fixtures to import."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright

#: Where a Chromium usually is.
_USUAL = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return the path of a Chromium: that of CBIR_CHROMIUM, or of the usual places."""
    given = os.environ.get("CBIR_CHROMIUM")
    return given or next(filter(None, map(shutil.which, _USUAL)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium that is installed already; for a module, as others cannot run an event loop while Playwright does."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium is here: install it, or say in CBIR_CHROMIUM where it is")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def serving(home: Path, *options: str) -> Iterator[str]:
    """Run `cbir serve` on a home; yield its address without a slash at the end."""
    command = [sys.executable, "-m", "cbir", "serve", "--port", "0", *options]
    with subprocess.Popen(
        command, env={**os.environ, "CBIR_HOME": str(home)}, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://[^ ]+", said)
            assert found, said + process.stderr.read()
            yield found[0].rstrip("/")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


@contextmanager
def opened(browser: Browser, **how: Any) -> Iterator[Page]:
    """Yield a page of a fresh window; whatever goes wrong in its scripts fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **how})
    context.set_default_timeout(10_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if _is_wrong(message.type, message.text) else None)
    try:
        yield page
        assert not wrong
    finally:
        context.close()


def _is_wrong(kind: str, text: str) -> bool:
    return kind == "error" and "status of" not in text  # an answer that is an error is told on the page


def violations(page: Page) -> list[str]:
    """Return what axe-core finds that is serious, with the elements."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def until(page: Page, condition: str, seconds: float = 10) -> None:
    """Wait until a JavaScript expression is true; `wait_for_function` is what the pages' security policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def settled(page: Page) -> None:
    """Wait until the page has done what follows from an answer that has come."""
    page.evaluate("async () => { for (let turn = 0; turn < 5; turn += 1) await new Promise(requestAnimationFrame); }")


def hold(page: Page, pattern: str, kind: str = "") -> Callable[[], Route]:
    """Hold back the first answer that is asked for at an address from now on; return what waits until it is."""
    routes: list[Route] = []

    def answer(route: Route) -> None:
        if routes or kind not in route.request.resource_type:
            route.fallback()
        else:
            routes.append(route)

    page.route(pattern, answer)

    def held() -> Route:
        end = time.monotonic() + 10
        while not routes:
            assert time.monotonic() < end, pattern
            page.wait_for_timeout(10)
        return routes[0]

    return held
