"""How a picture was seen: as the encoder gets it, under noise, restored; a slider is followed in a real browser."""

import base64
import gc
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import Browser, expect

import cbir
from cbir.collection.point import point_id
from cbir.ingest.sources.digits import digits as load_digits
from cbir.model.bundle import read_bundle
from cbir.model.networks.denoising import denoise
from tests.serve.album import drop
from tests.serve.asking import asking, file_of
from tests.serve.asking import opened as picture_of
from tests.serve.browser import hold, opened, until, violations
from tests.serve.inside import serving_inside

ADDRESS = "/api/collections/digits/seen"
SEVEN = "digits:database/7"
POINT = point_id("digits", SEVEN)


def shown(png: str) -> np.ndarray:
    return np.asarray(picture_of(base64.b64decode(png)))


def test_what_is_shown_is_what_is_encoded_and_what_keras_restores(client: TestClient, bundle: Path):
    loaded = read_bundle(bundle)
    pixels = loaded.preprocessing.pixels(load_digits().picture(SEVEN))
    answer = client.get(ADDRESS, params={"q": f"id:{POINT}", "noise": 0.4, "seed": 3}).json()
    assert (shown(answer["given"]) == pixels[..., 0]).all()
    noisy, restored = denoise(loaded.autoencoder(), pixels[None], noise=0.4, seed=3)
    assert (shown(answer["noisy"]) == noisy[0, ..., 0]).all()
    assert abs(shown(answer["restored"]).astype(int) - restored[0, ..., 0]).max() <= 2
    features = loaded.encoder().encode(np.stack([pixels, noisy[0]]))
    assert answer["moved"] == pytest.approx(float(np.linalg.norm(features[0] - features[1])), rel=1e-3)
    assert picture_of(base64.b64decode(answer["maps"])).size == (8 * 5 - 1, 4)
    assert any("enlarged to 28" in step for step in answer["steps"])


def test_without_noise_a_picture_finds_itself_first(client: TestClient):
    answer = client.get(ADDRESS, params={"q": f"id:{POINT}", "noise": 0}).json()
    assert (answer["rank"], answer["same"], answer["moved"], answer["noisy_error"]) == (1, 10, 0, 0)
    assert answer["hits"][0]["id"] == POINT
    far = client.get(ADDRESS, params={"q": f"id:{POINT}", "noise": 2, "seed": 1}).json()
    assert far["same"] < 10
    assert [hit["before"] for hit in far["hits"]].count(True) == far["same"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"q": "text:words"}, 422),
        ({"q": "id:none"}, 404),
        ({"q": "up:none"}, 404),
        ({"q": f"id:{POINT}", "noise": 3}, 422),
        ({"q": f"id:{POINT}", "noise": "nan"}, 422),
        ({"q": f"id:{POINT}", "box": "1,1,0,0"}, 422),
    ],
)
def test_what_cannot_be_seen_is_a_problem(client: TestClient, asked: dict[str, object], status: int):
    assert client.get(ADDRESS, params=asked).status_code == status


def test_an_upload_of_an_encoder_without_decoder_tells_its_steps(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="hog")
    tall = Image.new("RGBA", (60, 90), (200, 30, 30, 128))
    with asking() as client:
        upload = client.post("/api/uploads", files={"image": file_of(tall)}).json()["id"]
        asked = {"q": f"up:{upload}", "box": "0,0,1,0.5"}
        answer = client.get("/api/collections/pictures/seen", params=asked).json()
        assert (answer["restored"], answer["rank"], answer["maps"]) == (None, None, None)
        assert "'hog' has no decoder" in answer["why_not"]
        assert answer["steps"][:2] == [
            "It has 60 \u00d7 90 pixels, upright, in sRGB; what is transparent is white.",
            "Of it, the part that was chosen: 60 \u00d7 45 pixels.",
        ]
        text = client.get("/c/pictures/seen", params=asked | {"noise": "0.2"}).text
        assert "has no decoder" in text
        assert 'value="0.20"' in text
        assert client.get("/c/pictures/seen?q=up:gone").status_code == 404


def test_what_restored_pictures_for_an_encoder_that_was_replaced_is_let_go_of(home: Path):
    cbir.ingest("digits", encoder="pixels", limit=2)
    with asking() as client:
        state = client.app.state.cbir  # type: ignore[attr-defined]
        for encoder in ("hog", "color-histogram"):
            assert client.get("/c/digits/seen").status_code == 200
            gc.collect()
            assert len(state.seeing._restoring) == 1
            with state.library.let_go("digits"):
                cbir.ingest("digits", encoder=encoder, limit=2, retrain=True)


def test_the_slider_changes_what_is_restored(browser: Browser, digits: Path):
    with serving_inside(digits) as address, opened(browser) as page:
        page.goto(f"{address}/c/digits?q=id:{POINT}")
        page.locator("#ask").get_by_role("link", name="How it was seen").click()
        expect(page.locator("#noise")).to_have_value("0.50")  # as in training
        assert not violations(page)
        before = page.get_attribute("#restored", "src")
        page.locator("#slider").fill("0")
        expect(page.locator("#moved")).to_have_text("0.000")
        expect(page.locator("#rank")).to_have_text("1")
        assert page.get_attribute("#restored", "src") != before
        until(page, "location.search.includes('noise=0.00')")
        page.locator("#slider").fill("0.9")
        expect(page.locator("#noise")).to_have_value("0.90")
        expect(page.locator("#moved")).not_to_have_text("0.000")
        noisy = page.get_attribute("#noisy", "src")
        page.get_by_role("button", name="Draw new noise").click()
        until(page, f"document.getElementById('noisy').src !== {noisy!r}")
        given = page.get_attribute("#given", "src")
        drop(page, file_of(Image.new("L", (20, 20), 200)))
        page.wait_for_url("**q=up:*")
        assert page.get_attribute("#given", "src") != given


@pytest.mark.parametrize("field", ["#slider", "#noise"])
def test_noise_that_is_set_before_the_script_comes_counts(browser: Browser, digits: Path, field: str):
    with serving_inside(digits) as address, opened(browser) as page:
        held = hold(page, "**/seen.js*")
        page.goto(f"{address}/c/digits/seen?q=id:{POINT}", wait_until="commit")
        page.locator(field).fill("0")
        held().continue_()
        expect(page.locator("#moved")).to_have_text("0.000")
        expect(page.locator("#noise")).to_have_value("0.00" if field == "#slider" else "0")
        expect(page.locator("#slider")).to_have_value("0")
