"""What is asked on the page to search with, in a real browser before a real server."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.serve.album import FOLDERS, ask, drop, fields, found
from tests.serve.browser import opened, until, violations


def test_a_dropped_picture_is_searched_for_and_a_hit_opens_large(page: Page, folder: Path):
    ask(page, folder)
    assert len(found(page)) >= 10
    assert fields(page)["uri"] == "hills/03.png"
    page.locator("#hits .picture").nth(1).click()
    expect(page.locator("#large")).to_be_visible()
    expect(page.locator("#large-name")).to_have_text(fields(page, 1)["name"])
    year = page.evaluate("new Date().getFullYear()")
    expect(page.locator("#large-fields tr", has_text="added")).to_contain_text(str(year))
    expect(page.get_by_text("brightness of the edge")).to_be_hidden()
    page.get_by_text("More of it").click()
    expect(page.locator("#large-rest tr", has_text="SHA-256")).to_contain_text(fields(page, 1)["sha256"][:16])
    expect(page.get_by_text("brightness of the edge")).to_be_visible()
    until(page, "document.getElementById('large-picture').naturalWidth > 0")
    wanted = found(page)[1]
    page.locator("#large-more").click()
    page.wait_for_url(f"**q=id:{wanted}*")
    expect(page.locator("#large")).to_be_hidden()


def test_a_picture_can_be_pasted_and_chosen(page: Page, folder: Path):
    drop(page, (folder / "sea/04.png").read_bytes(), "paste")
    page.wait_for_url("**q=up*")
    expect(page.locator("#hits .distance").first).to_have_text("0.000")
    assert fields(page)["uri"] == "sea/04.png"
    page.set_input_files(".give input[data-as=q]", folder / "town/05.png")
    until(page, "JSON.parse(document.querySelector('#hits > .hit').dataset.payload).uri === 'town/05.png'")


def test_like_and_unlike_refine_and_the_trail_is_in_the_address(page: Page, folder: Path):
    ask(page, folder)
    first, asked = found(page), page.url
    liked, unliked = first[4], first[1]
    page.locator("#hits .hit").nth(4).hover()
    page.locator("#hits .hit").nth(4).locator(".like").click()
    page.wait_for_url(f"**like=id:{liked}*")
    expect(page.locator(".chip.like")).to_have_count(1)
    page.locator(f'.hit[data-id="{unliked}"]').hover()
    page.locator(f'.hit[data-id="{unliked}"] .unlike').click()
    expect(page.locator(".chip.unlike")).to_have_count(1)
    refined = found(page)
    assert refined != first
    assert unliked not in refined[:10]
    page.reload()
    assert found(page) == refined, "a shared address finds the same"
    page.go_back()
    page.go_back()
    expect(page.locator(".chip")).to_have_count(0)
    assert (page.url, found(page)) == (asked, first)


def test_a_picture_is_dragged_onto_like_and_unlike(page: Page, folder: Path):
    def drag(place: int, area: str) -> str:
        at = page.locator("#hits .picture").nth(place)
        wanted = found(page)[place]
        at.hover()
        page.mouse.down()
        page.mouse.move(500, 400, steps=3)
        page.locator(".onto", has_text=area).wait_for()
        page.get_by_text(area, exact=True).hover()
        page.get_by_text(area, exact=True).hover()
        page.mouse.up()
        expect(page.locator(".onto")).to_be_hidden()
        return wanted

    liked = drag(3, "Like this")
    page.wait_for_url(f"**like=id:{liked}*")
    unliked = drag(2, "Not like this")
    page.wait_for_url(f"**unlike=id:{unliked}*")
    expect(page.locator("#large")).to_be_hidden()


def test_facets_narrow_and_their_counts_are_right(page: Page, folder: Path):
    facet = page.locator('.facet[data-field="label"] li')
    expect(facet).to_have_count(3)
    assert [text.split() for text in facet.all_inner_texts()] == [[name, str(n)] for name, n in FOLDERS.items()]
    facet.filter(has_text="town").locator("a").click()
    expect(page.locator("#hits .hit")).to_have_count(10)
    expect(page.locator(".count")).to_have_text("10 pictures. Choose one to see what is like it.")
    page.locator('.facet[data-field="label"] a', has_text="sea").click()
    expect(page.locator("#hits .hit")).to_have_count(30)
    assert '"town","sea"' in page.locator(".conditions").inner_text()
    ask(page, folder, "sea/02.png")
    assert len(found(page)) == 30, "what the pictures were narrowed to stays"


def test_a_condition_is_typed_and_what_is_wrong_with_it_is_said_beside_it(page: Page):
    page.fill("#where", "width>200")
    page.press("#where", "Enter")
    expect(page.locator(".count")).to_contain_text("40 pictures")
    page.fill("#where", "widht=3")
    page.press("#where", "Enter")
    expect(page.locator("#where-problem")).to_contain_text("widht")
    expect(page.locator("#where")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#where")).to_have_value("widht=3")
    expect(page.locator("#where")).to_be_focused()
    expect(page.locator("#narrow-panel > summary")).to_have_text("Narrow (1)")
    assert "widht" not in page.url
    assert len(found(page)) == 40, "the pictures stay"
    page.fill("#where", "width=240")
    page.press("#where", "Enter")
    expect(page.locator("#where-problem")).to_have_count(0)
    page.goto(f"{page.url}&where=widht=3")
    expect(page.locator("#where-problem")).to_contain_text("did you mean 'width'?")
    page.locator(".conditions a").last.click()
    expect(page.locator(".count")).to_contain_text("40 pictures")


def test_the_slider_leaves_out_what_is_farther_and_marks_are_measured(page: Page, folder: Path):
    ask(page, folder)
    before = page.locator("#hits .distance").all_inner_texts()
    slider = page.locator(".slider input")
    expect(page.locator(".tick")).to_have_count(0)
    page.get_by_role("button", name="Mark where edited copies lie").click()
    expect(page.locator(".tick")).to_have_count(4, timeout=30_000)
    middle = float(before[len(before) // 2])
    distances = page.url.partition("?")[0].replace("/c/", "/api/collections/") + "/distances"
    farthest = page.request.get(distances).json()["farthest"]
    slider.evaluate(
        "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('change', { bubbles: true })); }",
        200 * middle / farthest,
    )
    page.wait_for_url("**max=*")
    expect(page.locator(".conditions")).to_contain_text("no farther than")
    left = page.locator("#hits .distance").all_inner_texts()
    assert 0 < len(left) < len(before)
    assert max(map(float, left)) <= middle * 1.01


def test_the_slider_keeps_its_place_and_the_keyboard_and_ends_at_any_distance(page: Page, folder: Path):
    ask(page, folder)
    slider, output = page.locator(".slider input"), page.locator(".slider output")
    expect(output).to_have_text("any distance")
    place = slider.bounding_box()
    slider.focus()
    for step in (199, 198):
        page.keyboard.press("ArrowLeft")
        expect(output).not_to_have_text("any distance")
        expect(page.locator(".conditions")).to_have_count(1)
        until(page, "document.activeElement.type === 'range' && !document.querySelector('body.waiting')")
        expect(slider).to_have_value(str(step))
        assert slider.bounding_box() == place
    page.keyboard.press("End")
    page.wait_for_url(lambda address: "max=" not in address)
    expect(output).to_have_text("any distance")
    expect(page.locator(".conditions")).to_have_count(0)


def test_a_box_searches_by_a_part(page: Page, folder: Path):
    ask(page, folder)
    box = page.locator(".frame").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.75 * box["height"], steps=4)
    page.mouse.up()
    page.wait_for_url("**box=*")
    left, top, right, bottom = map(float, page.locator(".frame").get_attribute("data-box").split(","))  # type: ignore[union-attr]
    assert (left, top, right, bottom) == pytest.approx((0.5, 0.25, 0.9, 0.75), abs=0.03)
    expect(page.locator(".frame .box")).to_be_visible()
    expect(page.locator("#hits .distance").first).not_to_have_text("0.000")
    page.get_by_role("link", name="All of it").click()
    expect(page.locator("#hits .distance").first).to_have_text("0.000")


def test_the_box_is_moved_by_keys(page: Page, folder: Path):
    ask(page, folder)
    page.get_by_role("button", name="Search by a part").press("Enter")
    frame = page.locator(".frame")
    expect(frame).to_be_focused()
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Enter"):
        frame.press(key)
    page.wait_for_url("**box=0.230,0.230,0.750,0.730*")


def test_what_is_no_picture_is_said_in_words(page: Page):
    drop(page, b"no picture")
    expect(page.locator("#results .notice.bad")).to_contain_text("picture")
    assert "q=" not in page.url


def test_an_upload_that_is_gone_is_said_in_words(page: Page, address: str):
    page.goto(f"{address}/c/album?q=up:gone")
    expect(page.locator("#results .notice.bad")).to_contain_text("upload it again")


def test_another_collection_is_chosen_and_one_that_is_not_there_is_said(page: Page, address: str):
    page.locator(".chooser summary").click()
    expect(page.locator(".chooser a", has_text="album")).to_have_attribute("href", "/c/album")
    page.keyboard.press("Escape")
    expect(page.locator(".chooser ul")).to_be_hidden()
    answer = page.goto(f"{address}/c/nowhere")
    assert answer is not None
    assert answer.status == 404
    expect(page.locator("main")).to_contain_text("nowhere")


def test_it_works_without_scripts(browser: Browser, address: str):
    with opened(browser, java_script_enabled=False) as page:
        page.goto(address)
        assert page.url == f"{address}/c/album"
        page.locator("#hits .picture").first.click()
        page.wait_for_url("**q=id*")
        expect(page.locator(".count")).to_contain_text("Closest first")
        page.locator("#hits .like").nth(3).click(force=True)
        expect(page.locator(".chip.like")).to_have_count(1)
        page.fill("#where", "label=sea")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("#hits .hit .name").first).to_have_text("sea")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, address: str, folder: Path, scheme: str):
    with opened(browser, color_scheme=scheme) as page:
        page.goto(f"{address}/c/album")
        expect(page.locator(".facet li").first).to_be_visible()
        light = sum(
            map(int, page.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/g)"))
        )
        assert (light < 200) == (scheme == "dark")
        assert violations(page) == []
        ask(page, folder)
        page.locator("#hits .hit .like").nth(2).click(force=True)
        expect(page.locator(".chip")).to_have_count(1)
        page.fill("#where", "widht=3")
        page.press("#where", "Enter")
        expect(page.locator("#where-problem")).to_be_visible()
        assert violations(page) == []
        page.go_back()
        page.locator("#hits .picture").first.click()
        expect(page.locator("#large")).to_be_visible()
        assert violations(page) == []


def test_styles_are_kept_for_ever_and_have_another_address_when_they_change(page: Page, address: str):
    sheet = page.locator("link[rel=stylesheet]").first.get_attribute("href")
    assert sheet is not None
    kept = page.request.get(address + sheet)
    assert "immutable" in kept.headers["cache-control"]
    other = page.request.get(f"{address}/static/another/{sheet.rpartition('/')[2]}")
    assert other.headers["cache-control"] == "no-cache"
    assert page.request.get(f"{address}/static/another/../base.html").status == 404
