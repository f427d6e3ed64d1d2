"""What the server says of itself: whether it can search, and what it counts."""

import gc
import shutil
import threading
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cbir.serve.health import Health
from tests.serve.conftest import made_app

ADDRESS = "http://127.0.0.1:8000"


def test_health_names_the_collection_that_can_be_searched(client: TestClient):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "collection": "digits", "problems": {}})


def test_a_server_without_collections_is_well(home: Path):
    with TestClient(made_app(), base_url=ADDRESS) as client:
        assert client.get("/healthz").json()["collection"] is None


def test_health_says_why_a_collection_cannot_be_opened(digits: Path, home: Path):
    shutil.copytree(digits, home)
    shard = next((home / "collections" / "digits").glob("shard-*"))
    shard.rename(home / "elsewhere")
    with TestClient(made_app(), base_url=ADDRESS) as client:
        answer = client.get("/healthz")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "'digits'" in answer.json()["detail"]
        (home / "elsewhere").rename(shard)
        assert client.get("/healthz").status_code == 200
        card = home / "collections" / "other" / "collection.json"
        card.parent.mkdir()
        card.write_text("{")
        assert list(client.get("/healthz").json()["problems"]) == ["other"]


def test_health_does_not_wait_for_ever(digits: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    app, may, looks = made_app(), threading.Event(), list[int]()
    library = app.state.cbir.library

    def hangs(name: str) -> None:
        looks.append(1)
        assert may.wait(20)

    monkeypatch.setattr(library, "searcher", hangs)
    app.state.cbir.health = Health(library, seconds=0.05)
    with TestClient(app, base_url=ADDRESS) as client:
        details = [client.get("/healthz").json()["detail"] for _ in range(3)]
        assert details == ["no collection could be opened within 0.05 s"] * 3
        may.set()
    assert looks == [1]  # the same look for all three
    app.state.cbir.health.close()
    gc.collect()
    assert not caplog.records  # that nobody asks for its error any longer is no news


def test_metrics_count_requests_by_route_and_status(digits: Path):
    app = made_app()
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as client:
        for path in ("digits", "nothing", "nothing else"):
            client.get(f"/api/collections/{path}")
        client.get("/nowhere/at/all")
        client.request("BREW", "/healthz")
        app.state.cbir.library.searcher = None  # a defect
        client.get("/api/collections/digits")
        text = client.get("/metrics").text
    route = 'route="/api/collections/{name}"'
    assert f'cbir_requests_total{{method="GET",{route},status="200"}} 1.0' in text
    assert f'cbir_requests_total{{method="GET",{route},status="404"}} 2.0' in text
    assert f'cbir_requests_total{{method="GET",{route},status="500"}} 1.0' in text
    assert 'cbir_requests_total{method="GET",route="(none)",status="404"} 1.0' in text
    assert 'cbir_requests_total{method="other",route="/healthz",status="405"} 1.0' in text
    assert f"cbir_request_seconds_count{{{route}}} 4.0" in text
    assert "nothing else" not in text
    with TestClient(made_app(), base_url=ADDRESS) as other:  # another application counts for itself
        assert "cbir_requests_total{" not in other.get("/metrics").text
