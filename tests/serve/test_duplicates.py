"""Duplicates: looked for in the background, marked in a real browser, and nothing is deleted."""

import shutil
import time
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect

import cbir
from cbir.core.progress import Progress
from cbir.core.words import size
from cbir.search.duplicates import find
from cbir.search.duplicates.result import Duplicates
from tests.serve.asking import asking
from tests.serve.browser import opened, violations
from tests.serve.inside import serving_inside

ADDRESS = "/api/collections/album/duplicates"


def drawing(seed: int) -> Image.Image:
    made = Image.new("RGB", (64, 64), (40 * seed % 256, 90, 200 - 30 * seed))
    ImageDraw.Draw(made).ellipse((8 * seed, 10, 8 * seed + 20, 50), fill=(255, 30 * seed, 0))
    return made


@pytest.fixture
def album(home: Path, tmp_path: Path) -> Path:
    """Four pictures, two of which are there twice; in a collection `album`."""
    folder = tmp_path / "album"
    folder.mkdir()
    for seed in range(4):
        drawing(seed).save(folder / f"{seed}.png")
    for seed in (1, 2):
        shutil.copyfile(folder / f"{seed}.png", folder / f"{seed} again.png")
    cbir.ingest(folder, encoder="pixels")
    return folder


def test_they_are_looked_for_when_asked_and_kept(album: Path):
    with asking() as client:
        assert client.get(ADDRESS).json() == {"stage": "", "done": 0, "total": None, "problem": None, "found": None}
        assert "Look for duplicates" in client.get("/c/album/duplicates").text
        answer = client.post(ADDRESS)
        assert answer.status_code == 202
        end = time.monotonic() + 20
        while (told := client.get(ADDRESS).json())["stage"]:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert len(told["found"]["groups"]) == 2
        assert client.post(ADDRESS).json() == told, "not looked for again"
        text = client.get("/c/album/duplicates").text
        assert "2 groups of 4 pictures" in text
        assert "exact copy" in text
        assert size(sum(path.stat().st_size for path in album.glob("* again.png"))) in text
        assert client.get("/c/none/duplicates").status_code == 404


def test_one_at_a_time_with_progress_and_it_ends_with_the_server(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def slow(*_: object, progress: Progress) -> Duplicates:
        for step in range(10_000):
            progress("confirm", step, 10_000)
            time.sleep(0.01)
        raise AssertionError

    monkeypatch.setattr(find, "find_duplicates", slow)
    other = tmp_path / "other"
    shutil.copytree(album, other)
    cbir.ingest(other, encoder="pixels")
    began = time.monotonic()
    with asking() as client:
        client.post(ADDRESS)
        busy = client.post("/api/collections/other/duplicates")
        assert (busy.status_code, "'album'" in busy.json()["detail"]) == (503, True)
        while (told := client.get(ADDRESS).json())["done"] < 3:
            assert time.monotonic() < began + 10
        assert (told["stage"], told["total"]) == ("confirm", 10_000)
    assert time.monotonic() < began + 20


def test_what_went_wrong_is_told_and_may_be_tried_again(album: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(*_: object, **__: object) -> Duplicates:
        raise ValueError("a disk is gone")

    with asking() as client:
        with monkeypatch.context() as patch:
            patch.setattr(find, "find_duplicates", failing)
            client.post(ADDRESS)
            end = time.monotonic() + 10
            while client.get(ADDRESS).json()["stage"]:
                assert time.monotonic() < end
            assert client.get(ADDRESS).json()["problem"] == "a disk is gone"
            assert "a disk is gone" in client.get("/c/album/duplicates").text
        assert client.post(ADDRESS).json()["problem"] is None


def saved(page: Page) -> list[str]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the paths").click()
    assert download.value.suggested_filename == "duplicates-album.txt"
    return Path(download.value.path()).read_text().splitlines()


def test_marked_paths_are_saved_and_stay_marked(browser: Browser, album: Path, home: Path):
    with serving_inside(home) as address, opened(browser) as page:
        page.goto(f"{address}/c/album/duplicates")
        assert not violations(page)
        page.get_by_role("button", name="Look for duplicates").click()
        expect(page.get_by_role("region", name="Group")).to_have_count(2, timeout=20_000)
        expect(page.get_by_role("button", name="Save the paths")).to_be_disabled()
        page.get_by_role("button", name="Mark all").click()
        listed = saved(page)
        assert len(listed) == 2
        assert {Path(each).parent for each in listed} == {album}
        assert not violations(page)
        first = page.get_by_role("region", name="Group 1")
        expect(first.locator(".warning")).to_be_hidden()
        first.get_by_role("button", name="Remove", pressed=False).click()
        expect(first.locator(".warning")).to_be_visible()
        expect(page.locator("#said")).to_have_text("3 marked to remove; of 1 group nothing would be kept")
        kept = first.get_by_role("group").last.get_by_role("button", name="Keep")
        expect(kept).to_have_attribute("aria-pressed", "false")
        kept.click()
        expect(page.locator("#said")).to_have_text("2 marked to remove")
        page.evaluate(
            "key => localStorage.setItem(key, JSON.stringify([...JSON.parse(localStorage[key]), '/old']))",
            "duplicates:album",
        )
        page.reload()
        expect(page.locator("#said")).to_contain_text("2 marked")
        assert "/old" not in saved(page), "what is no duplicate now"
        assert len(list(album.iterdir())) == 6, "nothing is deleted"
