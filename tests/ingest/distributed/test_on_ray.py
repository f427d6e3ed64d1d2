"""`cbir ingest --on ray`, with a real Ray and a real Qdrant: the points of one process, whatever dies on the way."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from tests.conftest import picture
from tests.ingest.distributed.running import Running, assert_complete
from tests.ingest.distributed.running import album as made
from tests.qdrant import GIVEN_KEY, QdrantProcess, needs_binary

pytest.importorskip("ray", reason="the extra `distributed` is not installed")


def ingest(*arguments: object, code: int = 0, **environment: str) -> tuple[dict[str, Any], str]:
    """Run `cbir ingest ... --json` in a process of its own; return its report, and its standard error."""
    command = [sys.executable, "-m", "cbir", "ingest", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env={**os.environ, **environment})
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else {}, done.stderr


def points(url: str, name: str, home: Path) -> dict[str, tuple[list[float], dict[str, Any]]]:
    engine = ServedEngine(Server(address(url), GIVEN_KEY), home / "locks")
    with closing(engine), closing(engine.open(name)) as collection:
        return {
            identity: (vector.tolist(), {**payload, "ingested_at": ""})
            for page in collection.scroll()
            for identity, vector, payload in zip(page.ids, page.vectors, page.payloads, strict=True)
        }


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two classes of 50 pictures, a copy, and a block of files that are no pictures."""
    folder = tmp_path / "album"
    for number, label in enumerate(("a", "b")):
        (folder / label).mkdir(parents=True)
        for index in range(50):
            picture(100 * number + index).save(folder / label / f"{index:02}.png")
    shutil.copy(folder / "a" / "49.png", folder / "b" / "a copy.png")
    for index in range(20):
        (folder / "a" / f"30 bad {index:02}.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture %d" % index)
    return folder


def test_ray_stores_what_one_machine_does(home: Path, album: Path, qdrant: str, served: ServedEngine):
    here, _ = ingest(album, "--collection", "here", "--encoder", "pixels", QDRANT_URL=qdrant)
    there, told = ingest(album, "--collection", "there", "--encoder", "pixels", "--on", "ray", QDRANT_URL=qdrant)
    assert points(qdrant, "there", home) == points(qdrant, "here", home)
    differ = {"collection", "seconds", "file", "model", "trained"}
    assert {k: v for k, v in there.items() if k not in differ} == {k: v for k, v in here.items() if k not in differ}
    assert (there["found"], there["ingested"], there["copies"], there["skipped"]) == (121, 100, 1, 20)
    # Ray itself says nothing.
    assert all(line.startswith("cbir: ") for line in told.splitlines()), told
    described = served.server.client.get_collection("there")
    assert described.config.optimizer_config.indexing_threshold > 1, "indexing is switched on again"


@needs_binary
def test_workers_die_and_qdrant_restarts(home: Path, tmp_path: Path, own_qdrant: QdrantProcess):
    folder = made(tmp_path / "heavy", pictures=240, bad=24)
    running = Running(folder, home, own_qdrant.url)
    running.until_stored(1)
    running.kill_worker("Storer")
    own_qdrant.kill()
    own_qdrant.start()
    running.kill_worker("Reader")
    report = running.report()
    assert_complete(folder, home, own_qdrant.url, report)
    assert report["ingested"] == 240, "also what a worker stored and did not live to tell"
