"""Commands on a real server, and collections that go there and back."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.served.engine import ServedEngine
from tests.collection.sample import METADATA
from tests.commands import failure, run
from tests.qdrant import GIVEN_KEY, free_ports


@pytest.fixture
def url(served: ServedEngine, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty server, an empty home."""
    if GIVEN_KEY:
        monkeypatch.setenv("QDRANT_API_KEY", GIVEN_KEY)
    return served.location


@pytest.fixture
def embedded(_trained: Path, home: Path) -> Path:
    """A home of one's own with the digits ingested."""
    shutil.copytree(_trained, home)
    return home


def test_the_main_job_on_a_server(url: str, home: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QDRANT_URL", url)
    document = json.loads(run("ingest", "digits", "--model", bundle, "--quantization", "int8", "--json").stdout)
    assert (document["points"], document["ingested"], document["model"]["trained"]) == (1500, 1500, False)
    again = run("ingest", "digits", "--quantization", "binary", "--json")
    assert json.loads(again.stdout)["unchanged"] == 1500
    assert "--quantization not used: collection 'digits' exists" in again.stderr

    done = run("search", "digits:queries/4", "-k", "3", "--label", "4", "--save", home / "strip.png", "--json")
    assert {hit["label"] for hit in json.loads(done.stdout)["queries"][0]["hits"]} == {4}
    assert "cbir: collection 'digits'" in done.stderr
    assert (home / "strip.png").is_file()

    scores = json.loads(run("evaluate", "--queries", "50", "--depth", "10", "--copies", "--json").stdout)
    assert scores["database"] == 1500
    found = {row["edit"]: row["first"] for row in scores["copies"]["rows"]}
    assert (scores["copies"]["pictures"], found["grey"]) == (50, 1)  # a digit's grey copy is itself
    assert len(json.loads(run("embed", "digits:queries/4").stdout)["vector"]) == 128
    seen = json.loads(run("info", "--json").stdout)
    assert (seen["location"], seen["default"]) == (url, "digits")
    assert [(c["name"], c["points"], c["bytes"], c["path"]) for c in seen["collections"]] == [
        ("digits", 1500, None, None)
    ]
    assert not (home / "collections").exists()
    with cbir.open("digits", qdrant_url=url) as digits:
        assert len(digits.search("digits:queries/4", k=3)) == 3


def test_push_and_pull(url: str, embedded: Path):
    pushed = json.loads(run("push", "--qdrant-url", url, "--on-disk", "--json").stdout)
    assert (pushed["collection"], pushed["copied"], pushed["target"]) == ("digits", 1500, url)
    assert "1,500 were there already" in run("push", "digits", "--qdrant-url", url).stdout
    shutil.rmtree(embedded / "collections")
    pulled = json.loads(run("pull", "--qdrant-url", url, "--quantization", "int8", "--on-disk", "--json").stdout)
    assert (pulled["copied"], pulled["target"]) == (1500, str(embedded / "collections"))
    (shard,) = (embedded / "collections" / "digits").glob("shard-*")
    vectors = json.loads((shard / "edge_config.json").read_text())["vectors"][""]
    assert (vectors["memory"], vectors["quantization_config"]["scalar"]["type"]) == ("cold", "int8")
    assert json.loads(run("search", "digits:queries/4", "-k", "1", "--json").stdout)["collection"] == "digits"


def test_a_snapshot_of_a_servers(url: str, embedded: Path, tmp_path: Path):
    cbir.push(qdrant_url=url)
    made = cbir.snapshot("digits", tmp_path / "d.snapshot", qdrant_url=url)
    assert (made.with_model, made.bytes) == (False, (tmp_path / "d.snapshot").stat().st_size)
    assert cbir.restore(tmp_path / "d.snapshot", "again", qdrant_url=url) == "again"
    with cbir.open("again", qdrant_url=url) as again:
        assert len(again.search("digits:queries/4", k=3)) == 3
    assert "restore it on a server (--qdrant-url)" in failure("restore", tmp_path / "d.snapshot")


def test_an_archive_takes_its_model_to_another_machine(embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = tmp_path / "digits.cbir.zip"
    assert str(archive) in run("snapshot", "--save", archive).stdout
    with cbir.open("digits") as digits:
        expected = digits.search("digits:queries/4", k=5)
    monkeypatch.setenv("CBIR_HOME", str(tmp_path / "elsewhere"))
    assert "collection 'digits'" in run("restore", archive).stdout
    with cbir.open() as restored:
        assert restored.search("digits:queries/4", k=5) == expected
    assert "collection 'digits' already exists" in failure("restore", archive)
    # Where another model has its name, it takes the next.
    monkeypatch.setenv("CBIR_HOME", str(tmp_path / "third"))
    other = tmp_path / "third" / "models" / "digits"
    shutil.copytree(embedded / "models" / "digits", other)
    stored = json.loads((other / "model.json").read_text())
    (other / "model.json").write_text(json.dumps({**stored, "fingerprint": "other"}))
    cbir.restore(archive)
    with cbir.open() as restored:
        assert restored.bundle.name == "digits-2"
        assert restored.search("digits:queries/4", k=5) == expected


def test_an_archive_can_be_restored_on_a_server(url: str, embedded: Path, tmp_path: Path):
    cbir.snapshot("digits", tmp_path / "d.cbir.zip")
    assert cbir.restore(tmp_path / "d.cbir.zip", qdrant_url=url) == "d"
    with cbir.open("d", qdrant_url=url) as found, cbir.open("digits") as digits:
        hits, expected = (searcher.search("digits:queries/4", k=5) for searcher in (found, digits))
    assert [hit.id for hit in hits] == [hit.id for hit in expected]
    np.testing.assert_allclose([h.distance for h in hits], [h.distance for h in expected], rtol=1e-5)


def test_what_cannot_be_done_is_one_line(home: Path, tmp_path: Path):
    port, _ = free_ports()
    nobody = f"http://127.0.0.1:{port}"
    with closing(EmbeddedEngine(home / "collections").create("c", METADATA)):
        pass
    assert f"no Qdrant server can be reached at {nobody}" in failure("push", "--qdrant-url", nobody)
    assert "--shards: only for a collection on a server" in failure("ingest", "digits", "--on-disk", "--shards", "2")
    assert "'int8', 'binary'" in run("ingest", "digits", "--quantization", "int4", code=2).stderr
    assert "name the server with --qdrant-url or QDRANT_URL" in failure("pull")
    assert "put a key into the environment variable QDRANT_API_KEY" in failure(
        "info", "--qdrant-url", "https://hunter2@localhost"
    )
    assert "does not exist" in failure("restore", tmp_path / "nothing.zip")
