"""How far ingests are that run beside the server: over HTTP, and on the page of a real browser."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from cbir.collection.errors import CollectionError
from cbir.serve import ingesting
from cbir.serve.ingesting import Ingesting
from tests.conftest import picture
from tests.serve.asking import asking
from tests.serve.browser import hold, opened, violations
from tests.serve.inside import serving_inside
from tests.serve.test_beside import SLOW

beside = pytest.mark.skipif(sys.platform == "win32", reason="Python has no such sockets there")


@pytest.fixture
def home(bundle: Path, tmp_path: Path) -> Path:
    """A home with a model and no collection."""
    shutil.copytree(bundle.parent, tmp_path / "home" / "models")
    return tmp_path / "home"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "blobs").mkdir()
    for seed in range(40):
        picture(seed).save(tmp_path / "blobs" / f"{seed}.png")
    return tmp_path / "blobs"


@contextmanager
def ingest(home: Path, root: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run an ingest that has stored 32 pictures, and waits for a line before it goes on."""
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, "ingest", str(root), "--model", str(home / "models" / "digits")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "CBIR_HOME": str(home)},
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "stored\n"
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "stored\n"
            yield process
        finally:
            process.kill()


def until(address: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + 10
    while True:
        answer: dict[str, Any] = httpx.get(f"{address}/api/collections/blobs").json()
        if holds(answer):
            return answer
        assert time.monotonic() < end, answer["ingest"]
        time.sleep(0.05)


def narrow(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/c/blobs/seen")
    here = page.locator(".bar nav [aria-current]").bounding_box()
    assert here is not None
    assert here["x"] >= 0
    assert here["x"] + here["width"] <= 390


@beside
def test_a_page_shows_how_far_it_is_and_what_it_brought(browser: Browser, home: Path, root: Path):
    with serving_inside(home) as address, opened(browser) as page:
        page.goto(address)
        expect(page.get_by_role("alert")).to_contain_text("no collection yet")
        expect(page.locator("#ingests")).to_be_hidden()
        with ingest(home, root) as process:
            until(address, lambda answer: (answer["ingest"] or {}).get("done") == 16)
            page.goto(f"{address}/c/nowhere")
            row = page.locator("#ingests li")
            expect(row).to_contain_text("blobsencoding and storing, 16 of 40")
            expect(page.get_by_role("progressbar", name="Ingest into blobs")).to_be_visible()
            assert not violations(page)
            row.get_by_role("link", name="blobs").click()
            page.wait_for_url("**/c/blobs")
            expect(row).to_contain_text("encoding and storing")
            page.evaluate("window.stays = true")
            late = page.context.new_page()
            held = hold(late, "**/api/collections")
            late.goto(f"{address}/c/blobs")
            held()
            assert process.stdin is not None
            process.stdin.write("\n\n\n")
            process.stdin.close()
            expect(row).to_have_text("blobs40 new picturesReload×")
            assert process.wait(60) == 0
            held().continue_()  # it has ended before that page could ask
            expect(late.locator("#ingests li")).to_have_text("blobs40 new picturesReload×")
            late.close()
        answer = httpx.get(f"{address}/api/collections/blobs").json()
        assert (answer["points"], answer["ingest"]["new"]) == (40, 40)
        assert page.evaluate("window.stays")
        row.get_by_role("button", name="Reload").click()
        expect(page.locator("#hits .hit")).to_have_count(40)
        with page.expect_response("**/api/collections"):  # what it brought is there: the page says no more of it
            page.reload()
        expect(page.locator("#ingests")).to_be_hidden()
        narrow(page, address)


@beside
def test_one_that_is_killed_is_told_of_no_more(home: Path, root: Path):
    with serving_inside(home) as address, ingest(home, root) as process:
        until(address, lambda answer: answer["ingest"] is not None)
        process.kill()
        assert until(address, lambda answer: answer["ingest"] is None)["points"] == 32


def test_the_api_tells_of_a_collection_that_is_being_made(digits: Path):
    with asking() as client, client.app.state.cbir.ingesting.hearing() as hear:  # type: ignore[attr-defined]
        hear({"do": "tell", "name": "photos", "stage": "train", "count": 3, "total": 90})
        found = {each["name"]: each for each in client.get("/api/collections").json()["collections"]}
        assert found["digits"]["ingest"] is None
        assert "being made" in found["photos"]["problem"]
        assert found["photos"]["ingest"] == {"stage": "training", "done": 3, "total": 90, "new": None, "ended": None}
        hear({"name": "photos", "new": 0})
        hear({"name": "digits", "stage": "train", "count": 1, "total": 2})  # of one that is there
        assert [each["name"] for each in client.get("/api/collections").json()["collections"]] == ["digits"]


def test_those_that_have_ended_are_told_of_for_a_while_and_not_too_many(monkeypatch: pytest.MonkeyPatch):
    heard = Ingesting()
    with heard.hearing() as hear:
        for number in range(100):
            hear({"name": f"photos{number}", "new": 2**80})
    assert list(heard.now()) == [f"photos{number}" for number in range(36, 100)]
    assert heard.now()["photos99"].new == 2**53 - 1
    monkeypatch.setattr(ingesting, "_KEPT", -1.0)
    assert not heard.now()


@pytest.mark.parametrize(
    "said",
    [
        {"name": "../x", "new": 1},
        {"name": 7, "stage": "read", "count": 1, "total": 1},
        {"name": "x", "stage": "read", "count": "1", "total": 1},
        {"name": "x"},
    ],
)
def test_what_is_no_such_message_is_refused(said: dict[str, Any]):
    heard = Ingesting()
    with pytest.raises((CollectionError, TypeError, KeyError)), heard.hearing() as hear:
        hear(said)
    assert not heard.now()
