"""What comes late on the page to search with, or in another order than it was asked for; in a real browser."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import cbir
from tests.serve.album import ask, drop, found
from tests.serve.browser import hold, opened, settled, until
from tests.serve.inside import serving_inside

CLICK = "document.querySelectorAll('#hits .picture')[4].click()"


def narrow(page: Page, label: str) -> None:
    page.locator('.facet[data-field="label"] a', has_text=label).click()


@pytest.fixture
def three(page: Page) -> list[list[str]]:
    """What three questions found that were asked one after another, before the page was loaded anew."""
    asked = [found(page)]
    for label, count in (("town", 10), ("sea", 30)):
        narrow(page, label)
        expect(page.locator("#hits .hit")).to_have_count(count)
        asked.append(found(page))
    page.reload()
    expect(page.locator("#hits .hit")).to_have_count(30)
    return asked


def test_two_steps_back_at_once_keep_each_question_with_its_pictures(page: Page, three: list[list[str]]):
    held = hold(page, "**/c/album?where=*town%22")
    page.go_back()
    held()
    page.go_back()
    expect(page.locator("#hits .hit")).to_have_count(48)
    page.go_forward()
    expect(page.locator("#hits .hit")).to_have_count(10)
    assert found(page) == three[1]
    page.go_forward()
    expect(page.locator("#hits .hit")).to_have_count(30)


def test_back_and_forward_at_once_leave_the_page_as_it_was(page: Page, three: list[list[str]]):
    held = hold(page, "**/c/album?where=*town%22")
    page.go_back()
    held()
    page.go_forward()
    page.wait_for_url("**sea%22")
    assert found(page) == three[2]
    expect(page.locator("body.waiting")).to_have_count(0)
    assert found(page) == three[2]


def test_an_answer_closes_a_picture_that_was_opened_while_it_was_awaited(page: Page):
    large, start = page.locator("#large"), page.url
    held = hold(page, "**/c/album?where=*")
    narrow(page, "town")
    page.locator("#hits .picture").nth(2).click()
    expect(large).to_be_visible()
    held().continue_()
    expect(page.locator("#hits .hit")).to_have_count(10)
    expect(large).to_be_hidden()
    page.locator("#hits .picture").nth(2).click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    expect(page.locator("#hits .hit")).to_have_count(10)
    until(page, "!history.state.large")
    page.go_back()
    page.wait_for_url(start)
    expect(page.locator("#hits .hit")).to_have_count(48)


def test_an_answer_waits_until_the_place_of_a_closed_picture_is_left(page: Page):
    page.evaluate(
        """() => {
            const back = history.back.bind(history);
            history.back = () => setTimeout(back, 400);
            addEventListener("popstate", () => document.body.setAttribute("data-back", ""));
        }"""
    )
    held = hold(page, "**/c/album?where=*")
    narrow(page, "town")
    page.locator("#hits .picture").nth(2).click()
    page.keyboard.press("Escape")
    held().continue_()
    expect(page.locator("body[data-back]")).to_have_count(1)
    expect(page.locator("#hits .hit")).to_have_count(10)
    assert "town" in page.url


@pytest.mark.parametrize(
    "then",
    [
        f"large.close(); {CLICK}",
        f"large.addEventListener('close', () => {CLICK}, {{ once: true }}); large.close()",
    ],
    ids=["before it is told", "before the history is there"],
)
def test_a_picture_opened_as_soon_as_another_is_closed_stays_open(page: Page, then: str):
    large, start = page.locator("#large"), page.url
    wanted = page.locator("#hits .picture img").nth(4).get_attribute("alt")
    page.locator("#hits .picture").nth(2).click()
    places = page.evaluate("history.length")
    page.evaluate(f"() => {{ const large = document.getElementById('large'); {then}; }}")
    expect(page.locator("#large-name")).to_have_text(str(wanted))
    until(page, f"history.state.large === {found(page)[4]!r}")
    assert page.evaluate("history.length") == places
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    until(page, "!history.state.large")
    expect(large).to_be_hidden()
    assert page.url == start


def test_a_close_event_that_comes_late_leaves_the_field_in_which_one_types(page: Page):
    page.locator("#hits .picture").nth(2).click()
    page.evaluate("() => { document.getElementById('large').close(); document.getElementById('where').focus(); }")
    until(page, "!history.state.large")
    expect(page.locator("#where")).to_be_focused()


def test_more_that_comes_late_does_not_turn_over_a_picture_opened_since(page: Page):
    held = hold(page, "**/c/album?*after=*")
    pictures = page.locator("#hits .picture")
    pictures.nth(47).click()
    page.keyboard.press("ArrowRight")
    held()
    page.keyboard.press("Escape")
    until(page, "!history.state.large")
    first = pictures.first.locator("img").get_attribute("alt")
    page.evaluate("document.querySelector('#hits .picture').click()")
    expect(page.locator("#large-name")).to_have_text(str(first))
    held().continue_()
    expect(page.locator("#hits .hit")).to_have_count(60)
    expect(page.locator("#large-name")).to_have_text(str(first))


def test_more_that_fails_late_leaves_another_list_growing(page: Page):
    held = hold(page, "**/c/album?*after=*")
    page.mouse.wheel(0, 20_000)
    held()
    page.fill("#where", "width>=160")
    page.press("#where", "Enter")
    page.wait_for_url("**where=*")
    with page.expect_response(lambda response: response.status == 500):
        held().fulfill(status=500, body="")
    page.mouse.move(900, 500)
    page.mouse.wheel(0, 20_000)
    expect(page.locator("#hits .hit")).to_have_count(60)


def test_a_question_asked_while_a_picture_is_read_counts_for_it(page: Page, folder: Path):
    held = hold(page, "**/api/uploads")
    drop(page, (folder / "sea/04.png").read_bytes())
    held()
    narrow(page, "town")
    expect(page.locator("#hits .hit")).to_have_count(10)
    held().continue_()
    page.wait_for_url("**q=up*")
    expect(page.locator(".conditions")).to_contain_text("town")
    expect(page.locator("#hits .hit")).to_have_count(10)


def test_of_two_examples_brought_at_once_both_count(page: Page, folder: Path):
    ask(page, folder)
    held = hold(page, "**/api/uploads")
    for name in ("sea/04.png", "town/05.png"):
        page.set_input_files(".give input[data-as=like]", folder / name)
    held().continue_()
    expect(page.locator(".chip.like")).to_have_count(2)


def test_what_is_done_before_the_scripts_come_is_not_lost(page: Page, folder: Path, address: str):
    asked = f"{address}/c/album?q=id:{found(page)[0]}"
    held = hold(page, "**/box.js*")
    page.goto(asked, wait_until="commit")
    part = page.get_by_role("button", name="Search by a part")
    part.click()
    held().continue_()
    expect(part).to_have_attribute("aria-pressed", "true")
    held = hold(page, "**/box.js*")
    page.goto(asked, wait_until="commit")
    page.set_input_files(".give input[data-as=q] >> nth=0", folder / "town/05.png")
    held().continue_()
    page.wait_for_url("**q=up*")


def test_what_is_typed_while_an_answer_is_awaited_stays(page: Page):
    held = hold(page, "**/c/album?where=*")
    narrow(page, "town")
    held()
    page.locator("#where").press_sequentially("width")
    page.keyboard.press("ArrowLeft")
    held().continue_()
    expect(page.locator("#hits .hit")).to_have_count(10)
    page.keyboard.type("_")
    expect(page.locator("#where")).to_have_value("widt_h")
    page.fill("#where", "width>200")
    page.press("#where", "Enter")
    expect(page.locator(".conditions li")).to_have_count(2)
    expect(page.locator("#where")).to_have_value("")


def test_an_answer_leaves_the_slider_that_is_being_moved(page: Page, folder: Path):
    ask(page, folder)
    expect(page.locator("#max[type=range]")).to_be_visible()
    held = hold(page, "**/c/album?*where=*")
    narrow(page, "town")
    held()
    page.evaluate(
        """() => {
            const slider = document.getElementById("max");
            slider.dataset.held = "";
            slider.value = 100;
            slider.dispatchEvent(new Event("input"));
        }"""
    )
    expect(page.locator("body.waiting")).to_have_count(0)
    expect(page.locator("#max[data-held]")).to_have_count(1)


def test_a_number_that_is_typed_is_not_replaced_by_a_slider(page: Page, folder: Path):
    held = hold(page, "**/distances")
    ask(page, folder)
    held()
    page.locator("#max").press_sequentially("0.5")
    with page.expect_response("**/distances"):
        held().continue_()
    settled(page)
    page.keyboard.press("Enter")
    page.wait_for_url("**max=0.5*")


def test_what_comes_for_pictures_that_another_question_replaced_is_there_after_back(page: Page, address: str):
    held = hold(page, "**/thumbnails/**", "fetch")
    page.goto(f"{address}/c/moved")
    held()
    page.fill("#where", "width>=200")
    page.press("#where", "Enter")
    page.wait_for_url("**where=*")
    with page.expect_response("**/thumbnails/**"):
        held().continue_()
    page.go_back()
    expect(page.locator(".notice.missing")).to_have_count(1)


def test_a_slider_is_there_after_back_and_goes_on_to_tell_how_far_measuring_is(page: Page, folder: Path):
    known = {"farthest": 2, "copies": None, "measuring": [1, 60], "problem": None}
    held = hold(page, "**/distances")
    ask(page, folder)
    held()
    narrow(page, "town")
    expect(page.locator("#hits .hit")).to_have_count(10)
    held().fulfill(json=known)
    page.route("**/distances", lambda route: route.fulfill(json=known))
    expect(page.locator(".below")).to_contain_text("1 of 60")
    page.go_back()
    expect(page.locator(".below")).to_contain_text("1 of 60")
    page.go_forward()
    for _ in range(3):
        page.wait_for_event("response", lambda response: "/distances" in response.url)
    known |= {"copies": [{"share": 0.5, "distance": 0.7}], "measuring": None}
    page.go_back()
    expect(page.locator(".tick")).to_have_count(1)


def test_a_comparison_that_fails_late_says_nothing_of_another_picture(page: Page, address: str):
    first = found(page)[0]
    page.goto(f"{address}/c/album?q=id:{first}")
    page.locator("#hits .picture").nth(1).click()
    held = hold(page, f"**/images/album/{first}*")
    with page.expect_response("**/agreement*"):
        page.get_by_role("button", name="The same picture?").click()
    held()
    page.keyboard.press("ArrowRight")
    with page.expect_response(f"**/images/album/{first}*"):
        held().fulfill(status=404)
    settled(page)
    expect(page.locator("#large-said")).to_have_text("")


def test_an_answer_that_breaks_off_is_none(page: Page):
    page.route("**/api/**/facets*", lambda route: route.fulfill(body='{"values": [', content_type="application/json"))
    page.reload()
    expect(page.locator('.facet[data-field="label"]')).to_be_hidden()
    expect(page.locator("#hits .hit")).to_have_count(48)


def test_a_picture_that_comes_late_is_not_seen_as_the_one_before(page: Page):
    page.locator("#hits .picture").nth(2).click()
    large = page.locator("#large-picture")
    expect(large).to_be_visible()
    held = hold(page, "**/images/**")
    page.keyboard.press("ArrowRight")
    held()
    expect(large).to_be_hidden()
    held().continue_()
    expect(large).to_be_visible()


def test_a_field_in_which_one_types_stays_open_on_a_phone(browser: Browser, address: str):
    with opened(browser, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True) as page:
        held = hold(page, "**/slider.js*")
        page.goto(f"{address}/c/album", wait_until="commit")
        page.locator("#where").press_sequentially("label=")
        held().continue_()
        expect(page.locator(".facet li").first).to_be_visible()
        page.keyboard.type("sea")
        page.keyboard.press("Enter")
        expect(page.locator("#hits .hit")).to_have_count(20)


def test_a_date_is_typed_to_its_end(browser: Browser, home: Path, tmp_path: Path):
    (tmp_path / "dated").mkdir()
    for year in (2019, 2021, 2024):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"{year}:06:12 10:00:00"
        Image.new("RGB", (32, 32), (year % 256, 90, 30)).save(tmp_path / "dated" / f"{year}.jpg", exif=exif)
    cbir.ingest(tmp_path / "dated", encoder="pixels")
    with serving_inside(home) as address, opened(browser) as page:
        page.goto(f"{address}/c/dated")
        page.locator("#taken-from").focus()
        page.keyboard.type("01012020", delay=60)
        page.wait_for_url("**2020-01-01")
        expect(page.locator("#hits .hit")).to_have_count(2)
        expect(page.locator("#taken-from")).to_be_focused()
        expect(page.locator("#taken-from")).to_have_value("2020-01-01")


def test_a_drag_ends_although_an_answer_took_the_picture_away(page: Page):
    held = hold(page, "**/c/album?where=*")
    narrow(page, "town")
    page.locator("#hits .picture").nth(3).hover()
    page.mouse.down()
    page.mouse.move(500, 400, steps=3)
    page.locator(".onto").wait_for()
    held().continue_()
    expect(page.locator("#hits .hit")).to_have_count(10)
    page.mouse.move(600, 500)
    page.mouse.up()
    expect(page.locator(".onto")).to_be_hidden()


def test_the_sign_to_drop_a_file_goes_with_the_file_although_an_answer_took_away_what_it_was_over(
    page: Page, folder: Path
):
    devtools, sign = page.context.new_cdp_session(page), page.locator(".dropping")
    data = {"items": [], "files": [str(folder / "sea/04.png")], "dragOperationsMask": 1}

    def drag(kind: str, x: int, y: int) -> None:
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})

    held = hold(page, "**/c/album?where=*")
    narrow(page, "town")
    held()
    drag("dragEnter", 800, 400)
    drag("dragOver", 800, 400)
    expect(sign).to_be_visible()
    held().continue_()
    expect(page.locator("#hits .hit")).to_have_count(10)
    drag("dragOver", 805, 405)
    page.evaluate(  # out of the window, for which the protocol has no word
        """() => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([], "it.png"));
            const under = document.elementFromPoint(805, 405);
            under.dispatchEvent(new DragEvent("dragleave", { dataTransfer, bubbles: true }));
        }"""
    )
    expect(sign).to_be_hidden()
