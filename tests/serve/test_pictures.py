"""Stored pictures, whole and as thumbnails: of files, archives and datasets, and never from outside the roots."""

import os
import shutil
import sys
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import cbir
from cbir.collection import home as homes
from cbir.core.settings import read_settings
from cbir.ingest.sources.catalogue import open_dataset
from cbir.serve import decoding
from tests.serve.album import with_desktop
from tests.serve.asking import asking, file_of, opened

TURNED = 6
#: A GIF, and a page as well.
POLYGLOT = file_of(Image.new("L", (30, 30), 200), "GIF") + b"<!--<html><script>alert(1)</script>"


def noise(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8))


def halves(width: int, height: int) -> Image.Image:
    """A picture that is blue on its left, and red on its right."""
    found = Image.new("RGB", (width, height), "red")
    found.paste("blue", (0, 0, width // 2, height))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, one beside it that is nobody's business, and a home that holds the first."""
    place = tmp_path_factory.mktemp("pictures")
    shelf, outside = place / "shelf", place / "outside"
    (shelf / "cats").mkdir(parents=True)
    outside.mkdir()
    noise(99).save(outside / "secret.png")
    exif = Image.Exif()
    exif[0x0112] = TURNED
    halves(1200, 600).save(shelf / "turned.jpg", exif=exif)
    noise(1).save(shelf / "cats" / "1.png")
    noise(2).save(shelf / "plain.tif")
    (shelf / "both.html").write_bytes(POLYGLOT)
    (shelf / "both.gif").write_bytes(POLYGLOT)
    with zipfile.ZipFile(place / "packed.zip", "w") as packed:
        packed.writestr("in/3.png", file_of(noise(3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(place / "home"))
        cbir.ingest("digits", encoder="pixels", limit=5)
        cbir.ingest(shelf, encoder="pixels")
        cbir.ingest(place / "packed.zip", encoder="pixels")
        cbir.ingest([shelf / "cats" / "1.png", shelf / "plain.tif"], encoder="pixels", collection="listed")
    return place


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(place / "home"))
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        with asking() as client:
            yield client


def points(client: TestClient, collection: str) -> dict[str, dict[str, Any]]:
    dimension = client.get(f"/api/collections/{collection}").json()["dimension"]
    asked = {"vector": [0.0] * dimension, "k": 1000, "exact": True}
    answer = client.post(f"/api/collections/{collection}/search", json=asked)
    return {hit["uri"]: hit for hit in answer.json()["hits"]}


def kept(place: Path) -> list[Path]:
    return [path for path in (place / "cache" / "cbir" / "thumbnails").rglob("*") if path.is_file()]


def test_a_picture_is_answered_as_it_is_where_browsers_show_it(client: TestClient, place: Path):
    stored = points(client, "shelf")
    assert stored.keys() == {"turned.jpg", "cats/1.png", "plain.tif", "both.gif"}
    for uri, kind in (("turned.jpg", "image/jpeg"), ("cats/1.png", "image/png"), ("both.gif", "image/gif")):
        answer = client.get(f"/images/shelf/{stored[uri]['id']}")
        assert answer.content == (place / "shelf" / uri).read_bytes()
        assert answer.headers["content-type"] == kind
    answer = client.get(f"/images/shelf/{stored['plain.tif']['id']}")
    assert answer.headers["content-type"] == "image/webp"
    assert np.abs(np.asarray(opened(answer.content), int) - np.asarray(noise(2), int)).mean() < 40


def test_no_picture_is_run_as_a_page(client: TestClient):
    stored = points(client, "shelf")
    upload = client.post("/api/uploads", content=POLYGLOT).json()["id"]
    for address in (
        f"/images/shelf/{stored['both.gif']['id']}",
        f"/thumbnails/shelf/{stored['both.gif']['id']}",
        f"/uploads/{upload}",
    ):
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-type"] in {"image/gif", "image/webp"}
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "script" not in answer.text or address.startswith("/images")


def test_a_thumbnail_is_upright_and_made_once(client: TestClient, place: Path, monkeypatch: pytest.MonkeyPatch):
    hit = points(client, "shelf")["turned.jpg"]
    address = f"/thumbnails/shelf/{hit['id']}"
    first = client.get(address)
    shown = opened(first.content)
    assert (shown.format, shown.size) == ("WEBP", (160, 320))
    assert np.asarray(shown)[20, 80].argmax() == 2
    assert np.asarray(shown)[300, 80].argmax() == 0
    assert opened(client.get(address, params={"size": 161}).content).size == (160, 320)
    assert opened(client.get(address, params={"size": 640}).content).size == (320, 640)
    monkeypatch.setattr(decoding, "_webp", None)
    assert client.get(address).content == first.content
    for file in kept(place):
        file.write_bytes(b"")
    assert client.get(address).status_code == 500, "an empty file is no thumbnail"


def test_browsers_keep_what_they_ask_for_by_its_content(client: TestClient):
    hit = points(client, "shelf")["cats/1.png"]
    for address in (f"/images/shelf/{hit['id']}", f"/thumbnails/shelf/{hit['id']}"):
        named = client.get(address, params={"v": hit["payload"]["sha256"][:12]})
        assert "immutable" in named.headers["cache-control"]
        for other in ({}, {"v": "0123456789ab"}, {"v": hit["payload"]["sha256"][:2]}):
            answer = client.get(address, params=other)
            assert answer.headers["cache-control"] == "private, no-cache"
        again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_another_picture_in_the_file_is_another_thumbnail(client: TestClient, place: Path):
    hit = points(client, "shelf")["cats/1.png"]
    address, path = f"/thumbnails/shelf/{hit['id']}", place / "shelf" / "cats" / "1.png"
    before = path.read_bytes()
    first = client.get(address)
    try:
        noise(50, (65, 48)).save(path)
        second = client.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert opened(second.content).size == (65, 48)
    finally:
        path.write_bytes(before)


def test_thumbnails_take_no_more_room_than_they_may(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CBIR_HOME", str(place / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with asking(thumbnails_bytes=3 * 4096) as client:
        ids = [hit["id"] for hit in points(client, "shelf").values()]
        for size in (80, 160, 320, 640):
            for point in ids:
                assert client.get(f"/thumbnails/shelf/{point}", params={"size": size}).status_code == 200
    assert 0 < sum(-(-file.stat().st_size // 4096) * 4096 for file in kept(tmp_path)) <= 3 * 4096
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("no folder")
    with asking() as client:
        assert client.get(f"/thumbnails/shelf/{ids[0]}").status_code == 200, "without a place to keep them"


def test_pictures_of_archives_and_datasets_are_shown(client: TestClient):
    (hit,) = points(client, "packed").values()
    assert client.get(f"/images/packed/{hit['id']}").content == file_of(noise(3))
    assert opened(client.get(f"/thumbnails/packed/{hit['id']}").content).size == (64, 48)
    uri, hit = next(iter(points(client, "digits").items()))
    pixels = np.asarray(open_dataset("digits").picture(uri).convert("L"))
    for kind in ("images", "thumbnails"):
        answer = client.get(f"/{kind}/digits/{hit['id']}")
        assert np.array_equal(np.asarray(opened(answer.content).convert("L")), pixels)


def test_files_listed_one_by_one_are_shown_as_long_as_they_are_the_same(client: TestClient, place: Path):
    """Their root is that of the file system: only their content says that they are the collection's."""
    stored = {Path(uri).name: hit for uri, hit in points(client, "listed").items()}
    png, tif = (f"/images/listed/{stored[name]['id']}" for name in ("1.png", "plain.tif"))
    assert client.get(png).content == (place / "shelf" / "cats" / "1.png").read_bytes()
    path = place / "shelf" / "plain.tif"
    before = path.read_bytes()
    try:
        shutil.copy(place / "outside" / "secret.png", path)
        answer = client.get(tif)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    finally:
        path.write_bytes(before)


def test_a_link_that_was_followed_is_shown(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CBIR_HOME", str(tmp_path / "home"))
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "far.png").symlink_to(place / "outside" / "secret.png")
    cbir.ingest(tmp_path / "links", encoder="pixels", follow=True)
    with asking() as client:
        hit = points(client, "links")["far.png"]
        assert client.get(f"/images/links/{hit['id']}").status_code == 200


#: Below a file that is no archive.
NO_ARCHIVE = {"uri": "both.gif/x"}


def wild(place: Path) -> list[dict[str, Any]]:
    """What another tool may write into payloads: each leads out of the roots, or nowhere."""
    secret = str(place / "outside" / "secret.png")
    uris = [
        *("../outside/secret.png", "cats/../../outside/secret.png", "./../outside/secret.png", "..", ".", "cats", ""),
        *(
            secret,
            f"/{secret}",
            f"./{secret}",
            f"%:{secret}",
            "%:%2e%2e/outside/secret.png",
            "%:%2E%2E%2Foutside/secret.png",
        ),
        *(
            f"file://{secret}",
            f"file:{secret}",
            "http://127.0.0.1:1/x.png",
            "ftp://host/x.png",
            "data:image/png;base64,",
        ),
        *(
            "link.png",
            "linked/secret.png",
            "linked",
            "both.gif/../../outside/secret.png",
            "fifo",
            "/dev/zero",
        ),
        *("\0", "cats/1.png\0", "%:cats/1.png%00", "C:\\x.png", "\\\\host\\share\\x.png", "x" * 100_000, "a/" * 5000),
        *("packed.zip", "packed.zip/../../outside/secret.png", "gone.png", "digits:0", "digits:train/0"),
    ]
    return [
        *({"uri": uri} for uri in uris),
        *({"uri": wrong} for wrong in (5, None, True, ["cats/1.png"], {"uri": "cats/1.png"})),
        *({"source": source, "uri": secret} for source in ("", "other", "/", "digits", str(place / "outside"), 5)),
        *(
            {"source": "digits", "uri": uri}
            for uri in ("digits:../x", "digits:", "mnist:test/0", "x", "digits:train/0/0")
        ),
        {"source": "mnist", "uri": "mnist:test/7"},
        NO_ARCHIVE,
        {"source": "listed", "uri": secret[1:]},
        {"uri": "gone.png", "copies": [{"source": "shelf", "uri": "../outside/secret.png"}, {"source": 1}, "x"]},
        {"uri": "gone.png", "copies": {"source": "shelf", "uri": "cats/1.png"}},
    ]


def test_what_leads_out_of_the_roots_is_not_there(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    shelf = place / "shelf"
    (shelf / "link.png").symlink_to(place / "outside" / "secret.png")
    (shelf / "linked").symlink_to(place / "outside")
    os.mkfifo(shelf / "fifo")
    shutil.copytree(place / "home", tmp_path / "home")
    monkeypatch.setenv("CBIR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(shelf)
    payloads = wild(place)
    with closing(homes.embedded_engine(read_settings()).open("shelf")) as opened_:
        (page,) = opened_.scroll()
        known = dict(zip((payload["uri"] for payload in page.payloads), page.payloads, strict=True))["cats/1.png"]
        good = {**known, "uri": "gone.png", "copies": [{"source": "shelf", "uri": "../outside/secret.png"}, known]}
        ids = [str(uuid.UUID(int=number)) for number in range(len(payloads) + 1)]
        vectors = np.repeat(page.vectors[:1], len(ids), axis=0)
        opened_.upsert(ids, vectors, [good, *({**known, **each} for each in payloads)])
    with asking() as client:
        for address in ("/images/shelf/", "/thumbnails/shelf/"):
            assert client.get(address + ids[0]).status_code == 200, "a copy that is there"
            for point, payload in zip(ids[1:], payloads, strict=True):
                answer = client.get(address + point)
                assert answer.status_code == (422 if payload == NO_ARCHIVE else 404), f"{payload}: {answer.text[:200]}"
                assert answer.headers["content-type"] == "application/problem+json"
        for point, payload in zip(ids[1:], payloads, strict=True):
            answer = client.post("/api/collections/shelf/search", json={"id": point, "box": [0, 0, 1, 1]})
            assert answer.status_code == (422 if payload == NO_ARCHIVE else 404), f"{payload}: {answer.text}"
    for name in ("link.png", "linked", "fifo"):
        (shelf / name).unlink()


@pytest.fixture
def asked_to_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A desktop, and what it is asked to open."""
    if sys.platform != "linux":
        pytest.skip("how other desktops are asked cannot be seen")
    return with_desktop(monkeypatch, tmp_path)


def open_folder(client: TestClient, uri: str, **headers: str) -> Any:
    collection = next(each for each in ("digits", "shelf", "packed", "listed") if uri in points(client, each))
    return client.post(
        f"/api/collections/{collection}/points/{points(client, collection)[uri]['id']}/folder", headers=headers
    )


def test_the_desktop_opens_the_folder_of_a_file_and_of_an_archive(client: TestClient, place: Path, asked_to_open: Path):
    assert open_folder(client, "cats/1.png").status_code == 204
    assert open_folder(client, "in/3.png").status_code == 204
    assert asked_to_open.read_text().splitlines() == ["1", str(place / "shelf" / "cats"), "1", str(place)]


def test_the_desktop_is_not_asked_for_what_is_not_there_nor_by_another_page(client: TestClient, asked_to_open: Path):
    assert open_folder(client, "digits:database/0").status_code == 404
    assert client.post(f"/api/collections/shelf/points/{uuid.uuid4()}/folder").status_code == 404
    elsewhere = open_folder(client, "cats/1.png", origin="https://elsewhere.example")
    assert (elsewhere.status_code, asked_to_open.exists()) == (403, False)


@pytest.mark.parametrize("how", [{"host": "0.0.0.0", "token": "t"}, {"hosts": ("pictures.example",)}])
def test_the_desktop_is_not_asked_by_a_server_that_others_can_reach(
    client: TestClient, asked_to_open: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
):
    config = client.app.state.cbir.config  # type: ignore[attr-defined]
    monkeypatch.setattr(client.app.state.cbir, "config", replace(config, **how))  # type: ignore[attr-defined]
    answer = open_folder(client, "cats/1.png")
    assert (answer.status_code, asked_to_open.exists()) == (403, False)
    assert "copy the path" in answer.json()["detail"]


def test_a_desktop_that_cannot_is_told(client: TestClient, asked_to_open: Path, monkeypatch: pytest.MonkeyPatch):
    asked_to_open.with_suffix("").write_text("#!/bin/sh\nexit 3\n")
    assert "does not show" in open_folder(client, "cats/1.png").json()["detail"]
    monkeypatch.delenv("DISPLAY")
    assert open_folder(client, "cats/1.png").status_code == 403
