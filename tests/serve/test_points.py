"""A stored picture by its id, the fields there are, and how many pictures have which value."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from cbir.collection.point import point_id

POINT = point_id("digits", "digits:database/7")


def get(client: TestClient, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/collections/digits/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def problem(client: TestClient, path: str) -> tuple[int, str]:
    answer = client.get(f"/api/collections/{path}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["detail"]


def test_a_point_is_what_is_stored_and_its_feature_if_asked_for(client: TestClient):
    found = get(client, f"points/{POINT}")
    assert (found["id"], found["uri"], found["vector"]) == (POINT, "digits:database/7", None)
    assert found["label"] == found["payload"]["label"]
    assert "distance" not in found
    vector = get(client, f"points/{POINT.upper()}", vector=True)["vector"]
    hits = client.post("/api/collections/digits/search", json={"vector": vector, "k": 1}).json()["hits"]
    assert (hits[0]["id"], hits[0]["distance"]) == (POINT, 0)


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("digits/points/00000000-0000-0000-0000-000000000000", 404, "holds no point"),
        ("digits/points/7", 422, "valid UUID"),
        ("digits/points/%00", 422, "valid UUID"),
        (f"nothing/points/{POINT}", 404, "no collection 'nothing'"),
        ("nothing/fields", 404, "no collection 'nothing'"),
        ("%2e%2e/facets?field=label", 404, "no collection"),
        ("digits/facets", 422, "field"),
        ("digits/facets?field=labe", 422, "did you mean 'label'"),
        ("digits/facets?field=label&by=year", 422, "only by value"),
        ("digits/facets?field=border_brightness", 422, "not at all"),
        ("digits/facets?field=label&where=label", 422, "is no condition"),
    ],
)
def test_what_is_not_there_or_no_question_is_a_problem(client: TestClient, path: str, status: int, detail: str):
    found, said = problem(client, path)
    assert found == status
    assert detail in said


def test_fields_are_those_that_the_pictures_have(client: TestClient):
    found = {each["name"]: each for each in get(client, "fields")["fields"]}
    assert found["label"]["by"] == ["value"]
    assert found["label"]["about"].startswith("what the image shows")
    assert found["uri"]["by"] == ["value", "part"]
    assert found["border_brightness"]["by"] == []
    assert "taken_at" not in found


def test_facets_count_what_the_same_condition_finds(client: TestClient):
    found = get(client, "facets", field="label", limit=3)
    assert (found["points"], found["without"], found["more"]) == (1500, 0, 7)
    counts = [each["count"] for each in found["values"]]
    assert counts == sorted(counts, reverse=True)
    first = found["values"][0]
    assert first["where"] == f"label={first['value']}"
    narrowed = get(client, "facets", field="label", where=[first["where"]])
    assert (narrowed["values"], narrowed["points"]) == ([first], first["count"])
    parts = get(client, "facets", field="uri", by="part")["values"]
    assert parts == [{"value": "digits:database", "count": 1500, "where": r"uri=digits\:database/**"}]
