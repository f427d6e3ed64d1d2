"""Uploaded pictures: kept, shown, searched with, whole or a part; alone, in a form, or in the search's own form."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import cbir
from tests.conftest import picture
from tests.serve.asking import asking, file_of, opened

SEARCH = "/api/collections/digits/search"
TURNED = 6


@pytest.fixture
def client(digits: Path) -> Iterator[TestClient]:
    with asking() as client:
        yield client


@pytest.fixture(scope="module")
def digit() -> Image.Image:
    """A digit of another size than the encoder's, with much around it on the left."""
    canvas = Image.new("L", (400, 200))
    canvas.paste(picture(3, (200, 200)), (200, 0))
    return canvas


def upload(client: TestClient, content: bytes) -> dict[str, object]:
    answer = client.post("/api/uploads", content=content, headers={"Content-Type": "image/png"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def hits(client: TestClient, **asked: object) -> list[str]:
    answer = client.post(SEARCH, json={"k": 5, **asked})
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["hits"]]


def expected(searched: Image.Image) -> list[str]:
    with cbir.open("digits") as digits:
        return [hit.id for hit in digits.search(searched, k=5)]


def test_an_upload_finds_what_the_picture_finds(digits: Path, digit: Image.Image):
    whole, part = expected(digit), expected(digit.crop((200, 0, 400, 200)))
    assert whole != part
    content = file_of(digit)
    with asking() as client:
        found = upload(client, content)
        assert (found["width"], found["height"]) == (400, 200)
        assert hits(client, upload=found["id"]) == whole
        assert hits(client, upload=found["id"], box=[0.5, 0, 1, 1]) == part
        assert hits(client, like=[{"upload": found["id"]}]) == whole
        form = client.post("/api/uploads", files={"image": ("../../etc/x.svg", content, "image/svg+xml")})
        assert hits(client, upload=form.json()["id"]) == whole
        files, query = {"image": ("x", content)}, json.dumps({"k": 5, "box": [0.5, 0, 1, 1]})
        for data, ids in (({}, whole), ({"query": query}, part)):
            answer = client.post(SEARCH, files=files, data=data)
            assert [hit["id"] for hit in answer.json()["hits"]][:5] == ids


def test_a_part_of_a_stored_picture_is_searched_for(client: TestClient):
    first = client.post(SEARCH, json={"vector": [0.0] * 128, "k": 1}).json()["hits"][0]
    assert hits(client, id=first["id"], box=[0, 0, 1, 1])[0] == first["id"]
    with cbir.open("digits") as digits:
        stored = digits.open_stored(first["payload"])
    assert hits(client, id=first["id"], box=[0, 0, 0.5, 1]) == expected(stored.crop((0, 0, 4, 8)))


def test_a_preview_is_upright_and_no_larger_than_a_screen(client: TestClient):
    large = Image.new("RGB", (2400, 1200), "red")
    large.paste("blue", (0, 0, 1200, 1200))
    exif = Image.Exif()
    exif[0x0112] = TURNED
    found = upload(client, file_of(large, "JPEG", exif=exif))
    assert (found["width"], found["height"]) == (1200, 2400)
    answer = client.get(f"/uploads/{found['id']}")
    assert answer.headers["content-type"] == "image/webp"
    shown = opened(answer.content)
    assert shown.size == (800, 1600)
    top, bottom = (np.asarray(shown)[row, 400] for row in (100, 1500))
    assert top.argmax() == 2
    assert bottom.argmax() == 0


def test_uploads_not_used_for_longest_make_room(digits: Path):
    contents = [
        file_of(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64), np.uint8))) for seed in range(3)
    ]
    with asking(uploads_bytes=2 * max(map(len, contents))) as client:
        first, second = (upload(client, content)["id"] for content in contents[:2])
        assert hits(client, upload=first)
        third = upload(client, contents[2])["id"]
        gone = client.post(SEARCH, json={"upload": second})
        assert (gone.status_code, gone.headers["content-type"]) == (404, "application/problem+json")
        assert "upload it again" in gone.json()["detail"]
        assert [client.get(f"/uploads/{each}").status_code for each in (first, second, third)] == [200, 404, 200]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"files": {"picture": b"x"}}, "part 'picture'"),
        ({"files": {"image": b""}}, "0 bytes"),
        ({"files": [("image", b"x"), ("image", b"y")]}, "Too many files"),
        ({"data": {"image": "x"}, "files": {"query": b"x"}}, "no picture"),
        ({"content": b"--x\r\nnothing", "headers": {"Content-Type": "multipart/form-data; boundary=y"}}, ""),
        ({"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}}, "boundary"),
        ({"content": b""}, "0 bytes"),
    ],
)
def test_what_is_no_such_form_is_told(client: TestClient, form: dict[str, object], said: str):
    for address in ("/api/uploads", SEARCH):
        if address == SEARCH and form == {"content": b""}:
            continue
        answer = client.post(address, **form)  # type: ignore[arg-type]
        assert answer.status_code in {400, 422}, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "query", ["{", "[]", '{"upload": "x"}', '{"id": "x"}', '{"like": [{"id": "x"}]}', "[" * 100_000]
)
def test_the_query_beside_a_picture_says_nothing_else_to_search_for(client: TestClient, query: str):
    answer = client.post(SEARCH, files={"image": file_of(picture())}, data={"query": query})
    assert answer.status_code == 422, answer.text


def test_a_search_is_json_or_a_form(client: TestClient):
    answer = client.post(SEARCH, content=b'{"vector": [0]}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
