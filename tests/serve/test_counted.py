"""Counts of a field's values are kept until the collection changes."""

from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.points import EmbeddedCollection
from tests.conftest import picture
from tests.serve.asking import asking


def test_values_are_counted_once_until_the_collection_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(tmp_path / "home"))
    (tmp_path / "some").mkdir()
    for seed in range(3):
        picture(seed).save(tmp_path / "some" / f"{seed}.png")
    cbir.ingest(tmp_path / "some", encoder="pixels")
    counted: list[str] = []
    usual = EmbeddedCollection.facet

    def facet(self: EmbeddedCollection, field: str, **how: object) -> object:
        counted.append(field)
        return usual(self, field, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(EmbeddedCollection, "facet", facet)
    with asking(write_token="t") as client:
        client.headers["Authorization"] = "Bearer t"

        def count(**asked: str) -> list[int]:
            found = client.get("/api/collections/some/facets", params={"field": "modified", **asked}).json()
            return [each["count"] for each in found["values"]]

        assert count(by="year") == count(by="year", limit="1") == [3]
        assert counted == ["modified"]
        assert count(by="year", where="name=1.png") == [1]
        assert count(by="day") == [3]
        assert counted == ["modified"] * 3, "what is asked differs"
        found = client.get("/api/collections/some").json()
        vector = {"vector": [0.0] * found["dimension"], "k": 1}
        hit = client.post("/api/collections/some/search", json=vector).json()["hits"][0]
        assert client.delete(f"/api/collections/some/points/{hit['id']}").status_code == 204
        assert count(by="year") == [2]
