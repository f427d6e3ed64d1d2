"""What distances mean, and whether two pictures are the same, over HTTP."""

import time

import numpy as np
import pytest
from fastapi.testclient import TestClient

import cbir
from cbir.collection.point import raw_ids
from cbir.search.duplicates.calibration import copies_apart, drawn_from
from cbir.search.duplicates.options import DuplicatesOptions

DISTANCES = "/api/collections/digits/distances"


def some_ids(client: TestClient) -> list[str]:
    feature = [0.5] * client.get("/api/collections/digits").json()["dimension"]
    answer = client.post("/api/collections/digits/search", json={"vector": feature, "k": 2})
    return [hit["id"] for hit in answer.json()["hits"]]


def test_distances_of_copies_are_told_once_they_are_measured(client: TestClient):
    before = client.get(DISTANCES).json()
    assert before["farthest"] > 0
    assert (before["copies"], before["measuring"], before["problem"]) == (None, None, None)
    begun = client.post(DISTANCES)
    assert begun.status_code == 202
    assert begun.json()["measuring"] == [0, 30]
    assert client.post(DISTANCES).json()["copies"] is None, "it is not begun a second time"
    end = time.monotonic() + 30
    while (told := client.get(DISTANCES).json())["copies"] is None:
        assert time.monotonic() < end, told
        time.sleep(0.02)
    assert told["measuring"] is None
    assert client.post(DISTANCES).json() == told
    client.__exit__(None, None, None)  # one process holds the collection once
    with cbir.open("digits") as digits:
        ids = [point for page in digits.collection.scroll(vectors=False) for point in page.ids]
        far, _ = copies_apart(digits, drawn_from(raw_ids(ids), 0), DuplicatesOptions(pictures=30))
    for mark in told["copies"]:
        assert np.mean(far <= mark["distance"]) == pytest.approx(mark["share"], abs=0.01)
    assert [mark["share"] for mark in told["copies"]] == [0.5, 0.75, 0.9, 0.98]


def test_small_pictures_are_the_same_by_their_pixels(client: TestClient):
    one, other = some_ids(client)
    place = f"/api/collections/digits/points/{one}/agreement"
    same = client.get(place, params={"query": f"id:{one}"}).json()
    assert (same["relation"], same["agreeing"], same["pairs"]) == ("edited", 0, [])
    assert same["verdict"] == "The same picture."
    different = client.get(place, params={"query": f"id:{other}"}).json()
    assert different["relation"] is None
    assert different["verdict"].startswith("Not the same picture")


@pytest.mark.parametrize(
    ("query", "status"),
    [("up:gone", 404), ("id:00000000-0000-0000-0000-000000000000", 404), ("text:a dog", 422), ("id:", 422)],
)
def test_what_cannot_be_compared_is_a_problem(client: TestClient, query: str, status: int):
    place = f"/api/collections/digits/points/{some_ids(client)[0]}/agreement"
    answer = client.get(place, params={"query": query})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
