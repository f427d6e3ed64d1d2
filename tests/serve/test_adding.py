"""Pictures are added and removed without an ingest, by whoever may."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

import cbir
from cbir.collection import home as homes
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.errors import CollectionError
from cbir.collection.point import content_id
from cbir.core.settings import read_settings
from tests.conftest import picture
from tests.serve.asking import asking, file_of

TOKEN = "may-write"
#: What a browser may send: the last part of it is shown.
NAME = "../C:\\x/a <b>\u202etabby.png"
POINTS = "/api/collections/pictures/points"


@pytest.fixture
def client(home: Path, pictures: Path, bundle: Path) -> Iterator[TestClient]:
    """Whoever may write to a collection of a folder with the labels `münchen käse` and `b`."""
    cbir.ingest(pictures, model=bundle)
    with asking(write_token=TOKEN) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


def add(client: TestClient, content: bytes, **said: Any) -> httpx.Response:
    return client.post(POINTS, files={"image": (NAME, content)}, data={"query": json.dumps(said)})


def point(client: TestClient, content: bytes) -> dict[str, Any]:
    return client.get(f"{POINTS}/{id_of(content)}", params={"vector": True}).json()


def id_of(content: bytes) -> str:
    return content_id(hashlib.sha256(content).hexdigest())


def test_an_added_picture_is_stored_as_an_ingest_stores_it(client: TestClient, pictures: Path):
    content = file_of(picture(77))
    answer = add(client, content, label="b", payload={"mood": "calm"}, save=True)
    assert (answer.status_code, answer.json()) == (201, {"id": id_of(content), "created": True})
    assert client.get(answer.headers["location"]).json()["id"] == id_of(content)
    here = point(client, content)
    file = pictures / "b" / f"{hashlib.sha256(content).hexdigest()}.png"
    assert (file.read_bytes(), here["path"], here["label"]) == (content, str(file), "b")
    assert client.get(f"/images/pictures/{id_of(content)}").content == content
    assert client.get("/api/collections/pictures").json()["points"] == 7
    hits = client.post("/api/collections/pictures/search", files={"image": content}).json()["hits"]
    assert (hits[0]["id"], hits[0]["distance"]) == (id_of(content), 0)

    report = cbir.ingest(pictures, collection="pictures")  # finds it where it says it is
    assert (report.unchanged, report.points) == (7, 7)
    assert client.delete(f"{POINTS}/{id_of(content)}").status_code == 204
    cbir.ingest(pictures, collection="pictures")
    again = point(client, content)
    assert again["vector"] == here["vector"]
    mood, when = here["payload"].pop("mood"), here["payload"].pop("ingested_at")
    assert (mood, when <= again["payload"].pop("ingested_at")) == ("calm", True)
    assert here["payload"].pop("original_name") == "a <b>tabby.png"
    assert again["payload"] == here["payload"]
    with closing(homes.open_engine(read_settings()).open("pictures")) as collection:
        assert collection.verify().none


def test_without_a_file_it_is_found_and_a_later_ingest_finds_its_file(client: TestClient, pictures: Path):
    content = file_of(picture(78))
    assert add(client, content, label=7).status_code == 201
    here = point(client, content)
    assert (here["path"], here["label"], here["gone"]) == (None, 7, False)
    assert client.get(f"/images/pictures/{id_of(content)}").status_code == 404
    (pictures / "b" / "later.png").write_bytes(content)
    assert cbir.ingest(pictures, collection="pictures").points == 7
    assert client.get(f"/images/pictures/{id_of(content)}").content == content


@pytest.mark.parametrize("save", [True, False])
def test_a_page_shows_an_added_picture_by_the_name_it_had(client: TestClient, save: bool):
    content = file_of(picture(79))
    add(client, content, save=save)
    place = f"pictures/{id_of(content)}"
    tiles = client.get("/c/pictures", params={"where": "original_name=a <b>tabby.png"}).text
    assert "a &lt;b&gt;tabby.png" in tiles
    assert (f"/thumbnails/{place}" in tiles, "unkept.svg" in tiles) == (save, not save)
    for kind in ("images", "thumbnails"):
        answer = client.get(f"/{kind}/{place}")
        assert answer.status_code == (200 if save else 404)
        assert save or "added without its file" in answer.json()["detail"]


def test_a_content_that_is_stored_takes_what_is_said_this_time(client: TestClient, pictures: Path):
    content = (pictures / "b" / "0.png").read_bytes()
    before = point(client, content)
    answer = add(client, content, label="c", payload={"mood": "new"}, save=True)
    assert (answer.status_code, answer.json()) == (200, {"id": before["id"], "created": False})
    after = point(client, content)
    assert after["payload"] == {**before["payload"], "label": "c", "mood": "new"}
    assert (after["vector"], after["path"]) == (before["vector"], before["path"])
    assert len(list(pictures.rglob("*.png"))) == 6  # it has a file already


def test_the_file_of_a_point_that_was_stored_without_an_answer_stays(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
):
    content, upsert = file_of(picture(83)), EmbeddedCollection.upsert

    def unanswered(self: EmbeddedCollection, *points: Any) -> None:
        upsert(self, *points)
        raise CollectionError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedCollection, "upsert", unanswered)
        assert add(client, content, save=True).status_code >= 500
    assert client.get(f"/images/pictures/{id_of(content)}").content == content
    assert add(client, content, save=True).json() == {"id": id_of(content), "created": False}


def test_an_unknown_label_makes_no_folder_of_its_name(client: TestClient, pictures: Path):
    for seed, label in enumerate(("..", "new", "/tmp", None)):
        content = file_of(picture(90 + seed))
        assert add(client, content, label=label, save=True).status_code == 201
        assert Path(point(client, content)["path"]).parent == pictures / "added"


@pytest.mark.parametrize(
    ("said", "status", "detail"),
    [
        ({"payload": {"sha256": "0"}}, 422, "writes the field 'sha256'"),
        ({"payload": {"_checksum": "0"}}, 422, "writes the field '_checksum'"),
        ({"payload": {"deep": json.loads("[" * 40 + "]" * 40)}}, 422, "nested"),
        ({"payload": {"a": 2**70}}, 422, "too large"),
        ({"label": 2**70}, 422, "too large"),
        ({"label": 1.5}, 422, "label"),
        ({"folder": "/etc"}, 422, "folder"),
    ],
)
def test_what_cannot_be_stored_is_refused(client: TestClient, said: dict[str, Any], status: int, detail: str):
    answer = add(client, file_of(picture(79)), **said)
    assert (answer.status_code, detail in answer.json()["detail"]) == (status, True), answer.text
    assert client.get("/api/collections/pictures").json()["points"] == 6


def test_what_is_no_picture_is_not_added(client: TestClient, pictures: Path):
    assert add(client, b"no picture").status_code == 415
    assert client.post(POINTS, content=b"x").status_code == 415
    shutil.rmtree(pictures)
    answer = add(client, file_of(picture(80)), save=True)
    assert (answer.status_code, "no folder" in answer.json()["detail"]) == (422, True)


def test_only_who_may_write_changes_anything(client: TestClient, digits: Path):
    content = file_of(picture(81))
    for header in ("", "Bearer", "Bearer wrong"):
        client.headers["Authorization"] = header
        assert add(client, content).status_code == 401
        assert client.delete(f"{POINTS}/{id_of(content)}").status_code == 401
    with asking() as other:
        assert add(other, content).status_code == 403
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    assert client.delete(f"{POINTS}/{id_of(content)}").status_code == 404


def test_a_collection_that_is_being_filled_is_busy(client: TestClient):
    with homes.open_engine(read_settings()).writing("pictures"):
        answer = add(client, file_of(picture(82)))
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert add(client, file_of(picture(82))).status_code == 201


def test_what_a_command_beside_it_remembered_stays(client: TestClient, tmp_path: Path):
    content = file_of(picture(77))
    add(client, content)  # opens the collection
    more = tmp_path / "more"
    more.mkdir()
    picture(78).save(more / "new.png")
    cbir.ingest(more, collection="pictures")
    assert client.delete(f"{POINTS}/{id_of(content)}").status_code == 204
    with closing(homes.open_engine(read_settings())) as engine:
        assert str(more) in engine.metadata("pictures").roots.values()


def test_names_of_no_collection_are_not_kept(client: TestClient):
    for number in range(3):
        assert client.get(f"/api/collections/none{number}").status_code == 404
    library = client.app.state.cbir.library  # type: ignore[attr-defined]
    assert set(library._opening) <= {"pictures"}
