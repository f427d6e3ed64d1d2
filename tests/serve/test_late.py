"""What comes late on the page to search with, or in another order than it was asked for; in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.serve.album import found
from tests.serve.browser import hold, until

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
