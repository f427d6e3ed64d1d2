"""How the page shows pictures: in rows, large, on a phone; in a real browser before a real server."""

import io
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from cbir.core.words import size
from tests.serve.album import ask, drop, fields, found
from tests.serve.browser import opened, until


def test_more_come_by_scrolling(page: Page):
    expect(page.locator("#hits .hit")).to_have_count(48)
    page.mouse.wheel(0, 20_000)
    expect(page.locator("#hits .hit")).to_have_count(60)
    assert len(found(page)) == len(set(found(page))) == 60
    assert found(page) == sorted(found(page))
    expect(page.locator(".more")).to_have_count(0)


def test_keys_move_open_and_close(page: Page):
    pictures = page.locator("#hits .picture")
    pictures.first.focus()
    page.keyboard.press("ArrowRight")
    expect(pictures.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    below = page.evaluate(
        "[...document.querySelectorAll('#hits .picture')].map((each) => each.getBoundingClientRect().top)"
        ".indexOf(document.activeElement.getBoundingClientRect().top)"
    )
    assert below > 1, "the first of another row is at its height"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#large")).to_be_visible()
    name = page.locator("#large-name").inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#large-name")).not_to_have_text(name)
    page.keyboard.press("Escape")
    expect(page.locator("#large")).to_be_hidden()
    expect(pictures.nth(1)).to_be_focused()


def test_tab_passes_the_other_pictures_by(page: Page):
    pictures = page.locator("#hits .picture")
    pictures.first.focus()
    page.keyboard.press("ArrowRight")
    inside = "document.activeElement.closest('#hits > .hit')?.matches(':nth-child(2)') ?? null"
    while page.evaluate(inside):
        page.keyboard.press("Tab")
    assert page.evaluate(inside) is None, "not in another picture either"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(inside), "back to the one that was left"


@pytest.mark.parametrize("width", [390, 1280])
def test_rows_end_where_the_list_does(browser: Browser, address: str, width: int):
    ends = """() => {
        const rows = new Map();
        for (const hit of document.querySelectorAll("#hits > .hit")) rows.set(hit.offsetTop, hit);
        const right = document.getElementById("hits").getBoundingClientRect().right;
        return [...rows.values()].map((last) => Math.round(right - last.getBoundingClientRect().right));
    }"""
    with opened(browser, viewport={"width": width, "height": 844}) as page:
        page.goto(f"{address}/c/album")
        *full, last = page.evaluate(ends)
        assert full
        assert not any(full)
        assert last >= 0
        page.set_viewport_size({"width": width + 150, "height": 844})
        until(page, f"!({ends})().slice(0, -1).some(Boolean)")
        page.mouse.wheel(0, 20_000)
        expect(page.locator("#hits .hit")).to_have_count(60)
        assert not any(page.evaluate(ends)[:-1])


def test_back_closes_what_is_large_and_then_goes_back(page: Page):
    def swipe(way: int) -> None:
        page.locator(".stage").evaluate(
            """(stage, way) => {
                const at = (clientX) => new Touch({ identifier: 1, target: stage, clientX, clientY: 200 });
                stage.dispatchEvent(new TouchEvent("touchstart", { touches: [at(200)], changedTouches: [at(200)] }));
                stage.dispatchEvent(new TouchEvent("touchend", { touches: [], changedTouches: [at(200 + 100 * way)] }));
            }""",
            way,
        )

    large, start, pictures = page.locator("#large"), page.url, page.locator("#hits .picture")
    pictures.nth(2).click()
    swipe(-1)
    expect(page.locator("#large-name")).to_have_text(fields(page, 3)["name"])
    expect(page.locator("#large-fields")).to_contain_text(size(fields(page, 3)["bytes"]))
    page.reload()
    expect(large).to_be_visible()
    expect(page.locator("#large-name")).to_have_text(fields(page, 3)["name"])
    page.go_back()
    expect(large).to_be_hidden()
    assert page.url == start
    page.go_forward()
    expect(large).to_be_visible()
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    pictures.nth(4).click()
    page.locator("#large-more").click()
    page.wait_for_url("**q=id*")
    page.locator("#hits .picture").nth(1).click()
    expect(large).to_be_visible()
    page.go_back()
    expect(large).to_be_hidden()
    assert "q=id" in page.url
    page.go_back()
    page.wait_for_url(start)
    expect(large).to_be_hidden()


def test_back_and_forward_leave_a_picture_large_on_a_page_too_busy_to_say_that_it_closed(page: Page):
    large = page.locator("#large")
    page.locator("#hits .picture").nth(2).click()
    page.evaluate(
        """() => document.addEventListener("close", (event) => {
            event.stopImmediatePropagation();
            const again = () => event.target.dispatchEvent(new Event("close"));
            addEventListener("popstate", again, { capture: true, once: true });
        }, { capture: true, once: true })"""
    )
    page.go_back()
    expect(large).to_be_hidden()
    page.go_forward()
    expect(large).to_be_visible()
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()


@pytest.mark.skipif(sys.platform != "linux", reason="how other desktops are asked cannot be seen")
def test_the_folder_of_a_picture_is_opened_on_the_desktop(page: Page, folder: Path):
    page.locator("#hits .picture").nth(2).click()
    page.get_by_role("button", name="Open its folder").click()
    expect(page.locator("#large-said")).to_contain_text("opened")
    there = folder / fields(page, 2)["folder"]
    assert (folder.parent / "xdg-open.asked").read_text().splitlines() == ["1", str(there)]


def test_lines_join_the_keypoints_that_agree(page: Page, folder: Path):
    edited = io.BytesIO()
    with Image.open(folder / "hills/03.png") as original:
        original.crop((15, 20, 150, 220)).save(edited, "PNG")
    drop(page, edited.getvalue())
    page.wait_for_url("**q=up*")
    page.locator('.hit[data-payload*="hills/03.png"] .picture').click()
    page.get_by_role("button", name="The same picture?").click()
    expect(page.locator("#large-said")).to_contain_text(
        "The same picture; next to the query's, this one is with something around it"
    )
    drawn = page.locator("#lines").evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].some(Boolean)"
    )
    assert drawn
    page.keyboard.press("ArrowRight")
    expect(page.locator("#lines")).to_be_hidden()
    page.get_by_role("button", name="The same picture?").click()
    expect(page.locator("#large-said")).to_contain_text("Not the same picture")


def test_a_phone_shows_all_of_it(browser: Browser, address: str, folder: Path):
    with opened(browser, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True) as page:
        page.goto(f"{address}/c/album")
        expect(page.get_by_text("Photograph")).to_be_visible()
        ask(page, folder)
        page.locator("#hits .picture").first.tap()
        expect(page.locator("#large-name")).to_be_in_viewport()
        expect(page.locator("#large .close")).to_be_in_viewport()
        page.locator("#large .close").tap()
        expect(page.locator("#large")).to_be_hidden()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390


def test_pictures_that_are_elsewhere_by_now_are_said_to_be_once(page: Page, address: str, folder: Path):
    page.goto(f"{address}/c/moved")
    expect(page.locator(".notice.missing")).to_have_count(1)
    until(page, "document.querySelectorAll('.picture.gone').length >= 3")  # others load as one scrolls
    expect(page.locator(".notice.missing")).to_contain_text(f"cbir move {folder.parent / 'moving'} NEW")


def test_pictures_that_failed_before_the_scripts_came_are_told_too(page: Page, address: str):
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))

    def late(route: Route) -> None:
        end = time.monotonic() + 10
        while sum("/thumbnails/" in each for each in asked) < 10 and time.monotonic() < end:
            page.wait_for_timeout(20)
        route.continue_()

    page.route("**/hits.js*", late)
    page.goto(f"{address}/c/moved")
    expect(page.locator(".notice.missing")).to_have_count(1)
    expect(page.locator(".picture.gone")).to_have_count(10)
    page.goto(f"{address}/c/album")
    page.mouse.wheel(0, 20_000)
    expect(page.locator("#hits .hit")).to_have_count(60)
    expect(page.locator(".picture.gone, .notice.missing")).to_have_count(0)
