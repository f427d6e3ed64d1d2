"""An album in a browser: the pages' tests share its server, and how they ask."""

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import cbir
from tests.search.duplicates.scenes import scene
from tests.serve.browser import opened, serving, until

#: Pictures in each of the folders.
FOLDERS = {"hills": 30, "sea": 20, "town": 10}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in folders that are their labels, wide and high ones."""
    folder, seed = tmp_path_factory.mktemp("page") / "album", 0
    for label, count in FOLDERS.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            size = (240, 160) if seed % 3 else (160, 240)
            scene(seed, size=size).save(folder / label / f"{number:02}.png", compress_level=1)
            seed += 1
    return folder


@pytest.fixture(scope="session")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the album is served, and one whose pictures are elsewhere by now."""
    home = tmp_path_factory.mktemp("page-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(home))
        moving = shutil.copytree(folder / "town", folder.parent / "moving")
        cbir.ingest(moving, encoder="hog", collection="moved")
        moving.rename(folder.parent / "elsewhere")
        cbir.ingest(folder, encoder="hog", collection="album")
        with_desktop(patch, folder.parent)
        with serving(home) as at:
            yield at


def with_desktop(patch: pytest.MonkeyPatch, place: Path) -> Path:
    """Let there be a desktop; return the file to which it writes what it is asked to open: how many, and which."""
    program = place / "xdg-open"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$#" "$@" >>"$0.asked"\n')
    program.chmod(0o755)
    patch.setenv("PATH", str(place), prepend=os.pathsep)
    patch.setenv("DISPLAY", ":0")
    return place / "xdg-open.asked"


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page on a desk."""
    with opened(browser) as page:
        page.goto(f"{address}/c/album")
        yield page


def drop(page: Page, content: bytes, event: str = "drop") -> None:
    """Drop a file on the page, or paste it."""
    page.evaluate(
        """([content, event]) => {
            const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "it.png", { type: "image/png" }));
            const given = event === "paste" ? { clipboardData: data } : { dataTransfer: data };
            const kind = event === "paste" ? ClipboardEvent : DragEvent;
            document.body.dispatchEvent(new kind(event, { ...given, bubbles: true, cancelable: true }));
        }""",
        [base64.b64encode(content).decode(), event],
    )


def found(page: Page) -> list[str]:
    """Return the ids of the pictures on the page."""
    return page.eval_on_selector_all("#hits > .hit", "hits => hits.map((each) => each.dataset.id)")


def fields(page: Page, place: int = 0) -> dict:
    """Return what the page knows of a picture."""
    return page.eval_on_selector_all("#hits > .hit", f"hits => JSON.parse(hits[{place}].dataset.payload)")["fields"]


def ask(page: Page, folder: Path, name: str = "hills/03.png") -> None:
    """Drop a stored picture's file, and wait for what is like it."""
    drop(page, (folder / name).read_bytes())
    page.wait_for_url("**q=up*")
    expect(page.locator("#hits .distance").first).to_have_text("0.000")
    until(page, "document.querySelector('.frame img').naturalWidth > 0")
