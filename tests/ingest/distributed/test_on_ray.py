"""`cbir ingest --on ray`, with a real Ray and a real Qdrant: the points of one process, whatever dies on the way."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from tests.conftest import saved_classes
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
    folder = saved_classes(tmp_path / "album", ("a", "b"), 50)
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
    folder = made(tmp_path / "heavy", pictures=160, bad=16)
    running = Running(folder, home, own_qdrant.url)
    running.until_stored(1)
    running.kill_worker("Reader")  # before it has read all, when Ray lets go of it
    running.kill_worker("Storer")
    own_qdrant.kill()
    own_qdrant.start()
    report = running.report()
    assert_complete(folder, home, own_qdrant.url, report)
    assert report["ingested"] == 160, "also what a worker stored and did not live to tell"


#: A cluster of one machine that says it has another version of Ray.
OTHER_VERSION = """
import sys, ray
ray.__version__ = "2.0.0"
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[1])
print("", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


def test_another_version_of_ray_is_refused(home: Path, pictures: Path, qdrant: str):
    with TemporaryDirectory(dir="/tmp") as short:
        command = [sys.executable, "-c", OTHER_VERSION, short]
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
        head = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        with head:
            assert head.stdout is not None
            address = next(line for line in head.stdout if line.startswith(" ")).strip()
            told = ingest(pictures, "--on", "ray", "--ray", address, QDRANT_URL=qdrant, code=1)[1]
            head.stdin.close()
    assert told.count("\n") == 1, told
    line = told.strip()
    assert line.startswith(f"cbir: the cluster at {address} has another version of Ray or Python than this machine")
    assert "2.0.0" in line
    assert not list(home.rglob("model.json")), "it is told before anything is trained"
