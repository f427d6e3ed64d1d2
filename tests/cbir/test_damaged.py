"""A damaged collection is listed with the reason, and hides no other; alone, it is not said to be none."""

import json
import shutil
from pathlib import Path

import pytest

import cbir
from tests.commands import failure, run


@pytest.fixture
def damaged(home: Path, pictures: Path, request: pytest.FixtureRequest) -> Path:
    """The folder of a collection, `pictures`, that is damaged as the parameter says."""
    cbir.ingest(pictures, encoder="pixels")
    folder = home / "collections" / "pictures"
    card = folder / "collection.json"
    (shard,) = folder.glob("shard-*")
    match request.param:
        case "cut":
            card.write_bytes(card.read_bytes()[:50])
        case "empty":
            card.write_bytes(b"")
        case "shard gone":
            shutil.rmtree(shard)
        case "points gone":
            shutil.rmtree(shard / "segments")
            (shard / "edge_config.json").write_text("{")
        case field:
            value = {"updated": 5, "background": {}, "sources": [{}], "shard": "../elsewhere"}[field]
            card.write_text(json.dumps({**json.loads(card.read_text()), field: value}))
    return folder


CARDS = ["cut", "empty", "updated", "background", "sources", "shard"]
ALL = [*CARDS, "shard gone", "points gone"]


@pytest.mark.parametrize("damaged", ALL, indirect=True)
def test_the_only_collection_is_said_to_be_damaged(damaged: Path):
    for command in (["search", "x.png"], ["snapshot"], ["evaluate"]):
        message = failure(*command)
        assert "no collection yet" not in message
        assert "unexpected" not in message
        assert (
            "rebuild it with: cbir ingest SOURCE --collection 'pictures' --retrain" in message or command[0] == "search"
        )
    (listed,) = json.loads(run("info", "--json").stdout)["collections"]
    assert listed["name"] == "pictures"
    assert listed["problem"]


@pytest.mark.parametrize("damaged", CARDS, indirect=True)
def test_others_are_searched_listed_and_pruned(damaged: Path, pictures: Path):
    other = shutil.copytree(pictures, pictures.with_name("other"))
    cbir.ingest(other, encoder="pixels", collection="other")
    assert "collection 'other'" in run("search", next(other.rglob("*.png"))).stderr
    first, second = json.loads(run("info", "--json").stdout)["collections"]
    assert (first["points"], second["points"]) == (6, None)
    assert "which model collection 'pictures' uses is not known" in run("prune", "--yes").stderr
    assert damaged.is_dir()
    run("remove", "pictures", "--yes")
    assert [each["name"] for each in json.loads(run("info", "--json").stdout)["collections"]] == ["other"]
