"""The map of a collection: over HTTP, and drawn, moved and lassoed in a real browser."""

import base64
import re
import shutil
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

import cbir
from cbir.collection.interface import Collection
from cbir.core.progress import Progress
from cbir.search.map import neighbouring
from cbir.search.map.kept import Map, write_map
from cbir.search.map.make import make_map
from tests.serve.asking import asking
from tests.serve.browser import hold, opened, settled, until, violations
from tests.serve.inside import serving_inside

ADDRESS = "/api/collections/digits/map"
#: Fewer iterations than people get.
SHORT = ((50, 12.0, 0.5), (50, 1.0, 0.8))


def done(client: TestClient, address: str = ADDRESS) -> dict[str, Any]:
    end = time.monotonic() + 60
    while (told := client.get(address).json())["stage"]:
        assert time.monotonic() < end, told
        time.sleep(0.05)
    return told


@pytest.fixture
def few(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of digits, in which there is no map yet."""
    home = tmp_path / "home"
    shutil.copytree(digits, home, ignore=shutil.ignore_patterns("map.npz"))
    monkeypatch.setenv("CBIR_HOME", str(home))
    return home


def test_it_is_made_when_asked_for_and_kept(few: Path):
    with asking() as client:
        begun = client.get(ADDRESS).json()
        assert (begun["points"], begun["methods"], begun["install"]) == (None, [], None)
        assert client.get(f"{ADDRESS}/points").status_code in (200, 404)
        told = done(client)
        assert (told["points"], told["methods"], told["placed"], told["problem"]) == (1500, ["principal"], 0, None)
        answer = client.get(f"{ADDRESS}/points")
        assert len(answer.content) == 1500 * 24
        places = np.frombuffer(answer.content[: 1500 * 8], "<f4").reshape(-1, 2)
        assert np.isfinite(places).all()
        assert (places.std(axis=0) > 0).all()
        ids = [str(uuid.UUID(bytes=answer.content[first : first + 16])) for first in range(12_000, 36_000, 16)]
        assert client.get(f"/api/collections/digits/points/{ids[7]}").json()["id"] == ids[7]
        tag = answer.headers["ETag"]
        assert client.get(f"{ADDRESS}/points", headers={"If-None-Match": tag}).status_code == 304
        assert client.get(f"{ADDRESS}/points?method=neighbours").status_code == 404
        colours = client.get(f"{ADDRESS}/colours", params={"field": "label"}).json()
        groups = np.frombuffer(base64.b64decode(colours["groups"]), np.uint8)
        assert [each["value"] for each in colours["values"]] == list(range(10))
        assert np.bincount(groups).tolist() == [each["count"] for each in colours["values"]]
        label = client.get(f"/api/collections/digits/points/{ids[7]}").json()["label"]
        assert colours["values"][groups[7]]["value"] == label
        assert client.get(f"{ADDRESS}/colours", params={"field": "labe"}).status_code == 422
    with asking() as client:
        client.get(ADDRESS)
        assert done(client)["version"] == told["version"]
    assert (few / "collections" / "digits" / "map.npz").is_file()


def test_points_are_arranged_by_neighbours_in_the_background(few: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neighbouring, "_PHASES", SHORT)
    with asking() as client:
        client.get(ADDRESS)
        done(client)
        assert client.post(ADDRESS).status_code == 202
        told = done(client)
        assert (told["methods"], told["problem"]) == (["principal", "neighbours"], None)
        assert client.post(ADDRESS).json() == told, "not a second time"
        arranged = client.get(f"{ADDRESS}/points?method=neighbours").content
        assert len(arranged) == 1500 * 24
        assert arranged != client.get(f"{ADDRESS}/points").content
        point = str(uuid.UUID(bytes=arranged[12_000:12_016]))
        part = client.get("/c/digits/map/chosen", params={"id": [point, str(uuid.uuid4()), "x"]}).text
        assert part.count("<li") == 1
        assert f"id:{point}" in part
    with cbir.open("digits") as digits:  # whoever changes points elsewhere
        digits.collection.delete([point])
    with asking() as client:
        client.get(ADDRESS)
        told = done(client)
        assert (told["points"], told["methods"], told["placed"]) == (1499, ["principal", "neighbours"], 0)


def test_what_was_arranged_while_a_map_was_made_is_brought_up_to_date(few: Path, monkeypatch: pytest.MonkeyPatch):
    file = few / "collections" / "digits" / "map.npz"
    made: list[Map] = []

    def meanwhile(collection: Collection, before: Map | None, progress: Progress) -> Map:
        made.append(make_map(collection, before, progress))
        if len(made) == 1:
            write_map(
                file,
                replace(
                    made[0], ids=made[0].ids[1:], neighbours=made[0].principal[1:], principal=made[0].principal[1:]
                ),
            )
        return made[-1]

    monkeypatch.setattr("cbir.search.map.make.make_map", meanwhile)
    with asking() as client:
        client.get(ADDRESS)
        told = done(client)
    assert (told["points"], told["methods"], told["placed"]) == (1500, ["principal", "neighbours"], 1)


def test_a_map_of_no_pictures_says_so(browser: Browser, few: Path):
    with cbir.open("digits") as digits:
        digits.collection.delete([each for page in digits.collection.scroll(fields=[]) for each in page.ids])
    with serving_inside(few) as address, opened(browser) as page:
        page.goto(f"{address}/c/digits/map")
        expect(page.get_by_role("application")).to_have_accessible_name("There is no picture in this collection yet.")


def test_without_the_extra_the_page_says_how_to_install_it(few: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neighbouring, "can_arrange", lambda: False)
    with asking() as client:
        client.get(ADDRESS)
        assert "pip install" in done(client)["install"]
        answer = client.post(ADDRESS)
        assert (answer.status_code, "pip install" in answer.json()["detail"]) == (501, True)


def test_the_most_frequent_values_have_a_colour_of_their_own(few: Path):
    with cbir.open("digits") as digits:
        stored = {
            each: payload
            for page in digits.collection.scroll(vectors=False)
            for each, payload in zip(page.ids, page.payloads, strict=True)
        }
        for row, payload in enumerate(stored.values()):
            del payload["label"]
            if row >= 7:
                payload["label"] = [f"x{row % 20:02}", "y"] if row < 900 else f"x{row % 20:02}"
                payload["taken_at"] = f"20{10 + row % 3}-05-0{1 + row % 9}T12:00:00"
        digits.collection.replace_payloads(list(stored), list(stored.values()))
    labels = [f"x{row % 20:02}" if row >= 7 else None for row in range(1500)]
    with asking() as client:
        client.get(ADDRESS)
        done(client)
        answer = client.get(f"{ADDRESS}/colours", params={"field": "label"}).json()
        groups = np.frombuffer(base64.b64decode(answer["groups"]), np.uint8)
        values = [each["value"] for each in answer["values"]]
        assert values == [f"x{place:02}" for place in range(7, 18)], "of as many, those that come first"
        places = {value: place for place, value in enumerate(values)}
        assert groups.tolist() == [255 if label is None else places.get(label, 254) for label in labels]
        assert [each["count"] for each in answer["values"]] == [labels.count(value) for value in values]
        assert (answer["other"], answer["without"]) == (1493 - sum(map(labels.count, values)), 7)
        years = client.get(f"{ADDRESS}/colours", params={"field": "taken_at"}).json()["values"]
        assert [each["value"] for each in years] == ["2010", "2011", "2012"]
        assert sum(each["count"] for each in years) == 1493


SQUARE = ((-80, -60), (80, -60), (80, 60), (-80, 60))
TRIANGLE = ((-80, -60), (80, -60), (-80, 60))


def lassoed(page: Page, corners: tuple[tuple[int, int], ...]) -> int:
    """Draw a line around the middle; return how many pictures are in it."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] + corners[0][0], middle[1] + corners[0][1])
    page.mouse.down()
    for across, down in corners[1:]:
        page.mouse.move(middle[0] + across, middle[1] + down, steps=3)
    page.mouse.up()
    heading = page.locator("#chosen-title")
    expect(heading).to_contain_text("picture")
    return int(heading.inner_text().split()[0].replace(",", ""))


def test_colours_are_offered_by_what_tells_pictures_apart(home: Path, tmp_path: Path):
    album = tmp_path / "album"
    for place, colour in (("", "red"), ("", "blue"), ("sea", "green")):
        (album / place).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), colour).save(album / place / f"{colour}.png")
    cbir.ingest(album, encoder="pixels")
    cbir.ingest(album / "sea", encoder="pixels")
    with asking() as client:
        assert re.findall(r'<option value="(\w*)"', client.get("/c/album/map").text) == ["folder", ""]
        assert re.findall(r'<option value="(\w*)"', client.get("/c/sea/map").text) == [""]


def test_a_map_is_drawn_moved_coloured_and_lassoed(browser: Browser, few: Path):
    with serving_inside(few) as address, opened(browser) as page:
        page.goto(f"{address}/c/digits/map")
        canvas = page.get_by_role("application")
        expect(canvas).to_have_accessible_name("Map of 1,500 pictures, by their main directions", timeout=20_000)
        expect(page.get_by_role("list", name="Colours").get_by_role("listitem")).to_have_count(10)
        drawn = (
            "new Set(document.getElementById('canvas').getContext('2d').getImageData(0, 0, 1200, 500).data).size > 50"
        )
        until(page, drawn)
        assert not violations(page)
        page.get_by_role("button", name="Lasso").click()
        heading = page.locator("#chosen-title")
        half = lassoed(page, TRIANGLE)
        count = lassoed(page, SQUARE)
        assert 0 < half < count < 1500
        expect(page.get_by_role("link", name="Search with 12 of these")).to_be_visible()
        expect(page.locator("#chosen-list > li").first).to_be_visible()
        assert not violations(page)
        page.locator(".legend button").first.click()
        expect(heading).not_to_have_text(f"{count} pictures")
        expect(heading).to_contain_text("pictures")
        page.get_by_role("button", name="Choose none").click()
        expect(page.locator("#chosen")).to_be_hidden()
        for _ in range(12):
            canvas.press("+")
        until(page, "Number(document.getElementById('canvas').dataset.thumbnails) > 0")
        canvas.press("Enter")
        expect(page.locator("#chosen")).to_be_focused()
        page.get_by_role("link", name="Search with", exact=False).click()
        expect(page.locator("#hits > li").first).to_be_visible()
        assert page.url.count("like=id:") > 1


def test_of_very_many_some_are_drawn_while_the_map_moves(browser: Browser, few: Path):
    with serving_inside(few) as address, opened(browser) as page:
        page.route(
            "**/mapdraw.js*",
            lambda route: route.fulfill(response=(got := route.fetch()), body=got.text().replace("600_000", "4_000")),
        )
        page.goto(f"{address}/c/digits/map")
        canvas = page.get_by_role("application")
        expect(canvas).to_have_accessible_name("Map of 1,500 pictures, by their main directions", timeout=20_000)
        expect(canvas).to_have_attribute("data-step", "1")
        page.get_by_role("button", name="Lasso").click()
        before = lassoed(page, TRIANGLE)
        page.get_by_role("button", name="Choose none").click()
        steps = page.evaluate(
            """async () => {
              const canvas = document.getElementById("canvas"), steps = [];
              for (let turn = 0; turn < 10; turn += 1) {
                const key = turn % 2 ? "ArrowLeft" : "ArrowRight";
                canvas.dispatchEvent(new KeyboardEvent("keydown", { key }));
                await new Promise(requestAnimationFrame);
                steps.push(canvas.dataset.step);
              }
              return steps;
            }"""
        )
        assert max(map(int, steps)) > 1
        # At once, as what is drawn does not say what is chosen.
        assert lassoed(page, TRIANGLE) == before
        expect(canvas).to_have_attribute("data-step", "1")


def test_on_a_phone_in_the_dark_neighbours_are_arranged(browser: Browser, few: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neighbouring, "_PHASES", SHORT)
    phone = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}
    with serving_inside(few) as address, opened(browser, **phone) as page:
        page.goto(f"{address}/c/digits/map")
        page.get_by_role("button", name="Neighbours").click()
        expect(page.get_by_role("application")).to_have_accessible_name(
            "Map of 1,500 pictures, each beside its neighbours", timeout=60_000
        )
        expect(page).to_have_url(re.compile(r"\?by=neighbours$"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not violations(page)
        page.reload()
        neighbours, principal = (page.get_by_role("button", name=name) for name in ("Neighbours", "Main directions"))
        expect(neighbours).to_have_attribute("aria-pressed", "true")
        held = hold(page, "**/points?method=neighbours")
        neighbours.click()
        held()
        principal.click()
        expect(principal).to_have_attribute("aria-pressed", "true")
        with page.expect_response("**/points?method=neighbours"):
            held().continue_()
        settled(page)
        expect(principal).to_have_attribute("aria-pressed", "true")


def test_what_is_chosen_before_the_map_is_there_counts_for_it(browser: Browser, few: Path):
    with serving_inside(few) as address, opened(browser) as page:
        held = hold(page, "**/map/points*")
        page.goto(f"{address}/c/digits/map")
        page.get_by_label("Colour by").select_option("Nothing")
        page.get_by_role("button", name="Lasso").click()
        page.mouse.move(500, 400)
        page.mouse.down()
        page.mouse.move(600, 400, steps=3)
        page.mouse.move(600, 500, steps=3)
        page.mouse.up()
        held().continue_()
        expect(page).to_have_url(re.compile(r"colour=$"))
        expect(page.locator("#legend")).to_be_hidden()
        expect(page.locator("#problem")).to_be_hidden()


def test_answers_that_come_late_do_not_replace_what_was_asked_for_since(browser: Browser, few: Path):
    with serving_inside(few) as address, opened(browser) as page:
        held = hold(page, "**/map/colours*")
        page.goto(f"{address}/c/digits/map")
        held()
        page.get_by_label("Colour by").select_option("Nothing")
        expect(page).to_have_url(re.compile(r"colour=$"))
        with page.expect_response("**/map/colours*"):
            held().continue_()
        settled(page)
        expect(page.locator("#legend")).to_be_hidden()

        listed = page.locator("#chosen-list > li")
        page.get_by_role("button", name="List what is in view").click()
        expect(page.locator("#more")).to_be_visible()
        some = listed.count()
        held = hold(page, "**/map/chosen*")
        page.locator("#more").click()
        held()
        page.locator("#more").click()
        expect(listed).to_have_count(2 * some)
        with page.expect_response("**/map/chosen*"):
            held().continue_()
        settled(page)
        expect(listed).to_have_count(2 * some)


def test_thumbnails_are_those_of_the_pictures_when_others_have_come(browser: Browser, few: Path):
    def turned(route: Route) -> None:
        got = (answer := route.fetch()).body()
        route.fulfill(response=answer, body=got[: 1500 * 8] + got[1500 * 8 + 16 :] + got[1500 * 8 : 1500 * 8 + 16])

    with serving_inside(few) as address, opened(browser) as page:
        page.goto(f"{address}/c/digits/map")
        until(page, "Number(document.getElementById('canvas').dataset.thumbnails) > 0", 20)
        page.wait_for_load_state("networkidle")
        page.get_by_role("button", name="List what is in view").click()
        expect(page.locator("#chosen")).to_be_visible()
        page.wait_for_load_state("networkidle")
        page.route("**/map/points*", turned)
        with page.expect_request("**/thumbnails/**"):
            page.get_by_role("button", name="Main directions").click()
        expect(page.locator("#chosen")).to_be_hidden()


def point(page: Page, left: int) -> None:
    """Point at the first picture from a place on to the right."""
    for across in range(left, left + 150, 4):
        page.mouse.move(across, 430)
        if page.locator("#canvas.on").count():
            return
    raise AssertionError(left)


def test_a_tip_is_seen_with_its_own_picture(browser: Browser, few: Path):
    with serving_inside(few) as address, opened(browser) as page:
        page.route(  # so that all thumbnails that are asked for are those of tips
            "**/mapdraw.js*",
            lambda route: route.fulfill(response=(got := route.fetch()), body=got.text().replace("= 2600", "= 0")),
        )
        page.goto(f"{address}/c/digits/map")
        expect(page.get_by_role("list", name="Colours").get_by_role("listitem")).to_have_count(10, timeout=20_000)
        tip = page.locator("#tip")
        point(page, 500)
        expect(tip).to_be_visible()
        held = hold(page, "**/thumbnails/**")
        point(page, 700)
        held()
        settled(page)
        expect(tip).to_be_hidden()
        held().continue_()
        expect(tip).to_be_visible()
