"""The page that tells how good searches are: real runs of a real collection, and only those of its encoder."""

import json
import re
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import Browser, expect

import cbir
from tests.serve.asking import asking
from tests.serve.browser import opened, until, violations
from tests.serve.inside import serving_inside


@pytest.fixture(scope="module")
def runs(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the digits, an evaluation, a run of edited copies, and the folder of a comparison."""
    place = tmp_path_factory.mktemp("measured") / "home"
    shutil.copytree(_trained, place, ignore=shutil.ignore_patterns("runs"))  # other tests have made some
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(place))
        cbir.evaluate("digits", queries=60)
        cbir.evaluate_copies("digits", queries=6)
    table = place / "runs" / "compare-digits-0123456789ab" / "table.md"
    table.parent.mkdir()
    table.write_text(
        "| encoder | mAP |\n| --- | --- |\n| a\\|b | 0.5 |\n\nOf some:\n\n| encoder | mAP |\n| --- | --- |\n| c | 1 |\n"
    )
    (place / "runs" / "somebody's").mkdir()
    return place


@pytest.fixture
def measured(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CBIR_HOME", str(runs))
    return runs


@pytest.fixture
def own(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change."""
    place = tmp_path / "home"
    shutil.copytree(runs, place)
    monkeypatch.setenv("CBIR_HOME", str(place))
    return place


def the(home: Path, pattern: str) -> Path:
    (found,) = (home / "runs").glob(pattern)
    return found


def labels(home: Path) -> Path:
    return the(home, "digits-2*")


def page(client: TestClient) -> str:
    answer = client.get("/c/digits/quality")
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.text)


def rewrite(folder: Path, **changed: object) -> None:
    path = folder / "scores.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_what_was_not_measured_is_told_with_the_commands_that_do(own: Path):
    shutil.rmtree(own / "runs")
    with asking() as client:
        text = page(client)
    assert "cbir evaluate --collection digits" in text
    assert "cbir evaluate --copies --collection digits" in text
    assert "cbir compare --source" in text


def test_of_pictures_without_labels_nothing_is_said_of_labels(home: Path, tmp_path: Path):
    (tmp_path / "album").mkdir()
    Image.new("RGB", (32, 32), "red").save(tmp_path / "album" / "red.png")
    cbir.ingest(tmp_path / "album", encoder="pixels")
    with asking() as client:
        text = client.get("/c/album/quality").text
    assert "same label" not in text
    assert "cbir evaluate --copies" in text
    assert "--encoder photo --encoder dinov2" in text


def test_the_numbers_are_those_of_the_runs(measured: Path):
    scores = json.loads((labels(measured) / "scores.json").read_text())
    copies = json.loads((the(measured, "digits-copies-*") / "scores.json").read_text())
    with asking() as client:
        text = page(client)
    for share in (scores["precision_at"]["1"], scores["precision_at"]["10"], copies["mean"]["first"]):
        assert f"<strong>{100 * share:.1f}%</strong>" in text
    assert f"<strong>{scores['map']:.3f}</strong>" in text
    assert '<th scope="row">a|b</th><td>0.5</td>' in text
    assert '<th scope="row">c</th><td>1</td>' in text, "the second table"


def test_the_latest_run_counts(own: Path):
    older, newer = own / "runs" / "digits-20200101-000000-000000", own / "runs" / "digits-20990101-000000-000000"
    for folder, value in ((older, 0.123), (newer, 0.987)):
        shutil.copytree(labels(own) if folder == older else older, folder)
        rewrite(folder, map=value)
    with asking() as client:
        text = page(client)
    assert "0.987" in text
    assert "0.123" not in text
    assert "1 January 2099" in text


@pytest.mark.parametrize("changed", [{"fingerprint": "0" * 16}, {"collection": "other"}, {"distortion": "noise=1"}])
def test_a_run_of_another_encoder_or_collection_is_not_told(own: Path, changed: dict[str, str]):
    rewrite(labels(own), **changed)
    with asking() as client:
        assert "cbir evaluate --collection digits" in page(client)
        assert client.get(f"/c/digits/quality/{labels(own).name}/curve.png").status_code == 404


def test_a_run_that_is_damaged_spoils_nothing_else(own: Path):
    (labels(own) / "run.npz").write_bytes(b"no run")
    (the(own, "digits-copies-*") / "scores.json").write_text("{")
    with asking() as client:
        text = page(client)
    assert "is damaged" in text
    assert "cbir evaluate --copies --collection digits" in text


def test_only_figures_of_what_the_page_tells_are_answered(own: Path):
    folder = labels(own)
    beside = f"/c/digits/quality/{folder.name}"
    (the(own, "digits-copies-*") / "shares.png").symlink_to(folder / "curve.png")
    (folder / "misses.png").write_text("no picture")
    (own / "runs" / "curve.png").write_bytes((folder / "curve.png").read_bytes())
    with asking() as client:
        answer = client.get(f"{beside}/curve.png")
        assert answer.content == (folder / "curve.png").read_bytes()
        assert answer.headers["content-type"] == "image/png"
        linked = f"/c/digits/quality/{the(own, 'digits-copies-*').name}/shares.png"
        no_figure = [f"{beside}/scores.json", f"{beside}/run.npz", f"{beside}/misses.png", linked]
        for address in (*no_figure, "/c/digits/quality/%2e%2e/curve.png", "/c/digits/quality/./curve.png"):
            assert client.get(address).status_code == 404, address


def test_misses_lead_to_the_search_page(browser: Browser, measured: Path):
    with serving_inside(measured) as address, opened(browser) as page:
        page.goto(f"{address}/c/digits/quality")
        expect(page.get_by_role("link", name="How good")).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("img", name="Curves")).to_be_visible()
        until(page, "document.querySelector('img[alt^=Curves]').naturalWidth > 100")
        assert not violations(page)
        page.locator("section", has=page.get_by_role("heading", name="Edited copies")).locator(".picture").first.click()
        page.wait_for_url(re.compile(r"/c/digits\?q=id:"))
