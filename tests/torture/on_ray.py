"""An ingest on a real Ray and a real Qdrant, a part of which is killed at a random moment: each picture is stored once.

What dies: an actor that reads or one that encodes, the server, a node of the cluster, or the driver, whose command is
typed again. `python -m tests.torture` does one of them a round, where Ray is installed.
"""

import importlib.util
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ingest.distributed.running import Running, album, assert_complete
from tests.qdrant import BINARY, QdrantProcess

#: Whether it can be done here.
POSSIBLE = BINARY is not None and importlib.util.find_spec("ray") is not None

_Start = Callable[[], Running]


def on_ray(base: Path, chance: random.Random, pictures: int, fault: str | None = None) -> list[str]:
    """Fill a collection while something dies; return what did."""
    base.mkdir(parents=True, exist_ok=True)
    folder = album(base / "album", pictures, bad=pictures // 10)
    qdrant = QdrantProcess(base / "qdrant").start()
    fault = fault or chance.choice([*FAULTS, "node"])
    try:
        if fault == "node":
            report = _node(folder, base, qdrant, chance)
        else:
            report = FAULTS[fault](lambda: Running(folder, base / "home", qdrant.url), qdrant, chance)
        assert_complete(folder, base / "home", qdrant.url, report)
    finally:
        qdrant.kill()
    return [fault]


def _reader(start: _Start, qdrant: QdrantProcess, chance: random.Random) -> dict[str, Any]:
    return _worker(start, "Reader", chance)


def _storer(start: _Start, qdrant: QdrantProcess, chance: random.Random) -> dict[str, Any]:
    return _worker(start, "Storer", chance)


def _worker(start: _Start, kind: str, chance: random.Random) -> dict[str, Any]:
    running = start()
    running.until_stored(0)
    for _ in range(2):
        time.sleep(chance.uniform(0, 2))
        running.kill_worker(kind)
    return running.report()


def _server(start: _Start, qdrant: QdrantProcess, chance: random.Random) -> dict[str, Any]:
    running = start()
    running.until_stored(1)
    time.sleep(chance.uniform(0, 1))
    qdrant.kill()
    time.sleep(chance.uniform(0, 3))
    qdrant.start()
    return running.report()


def _driver(start: _Start, qdrant: QdrantProcess, chance: random.Random) -> dict[str, Any]:
    for _ in range(2):
        running = start()
        running.until_stored(1)
        time.sleep(chance.uniform(0, 1))
        running.kill()
    return start().report()


def _node(folder: Path, base: Path, qdrant: QdrantProcess, chance: random.Random) -> dict[str, Any]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=2)
        running = Running(folder, base / "home", qdrant.url, "--ray", cluster.address, "--read-workers", 2)
        running.until_stored(1)
        time.sleep(chance.uniform(0, 1))
        cluster.remove_node(node, allow_graceful=False)
        return running.report()
    finally:
        cluster.shutdown()


FAULTS: dict[str, Callable[[_Start, QdrantProcess, random.Random], dict[str, Any]]] = {
    "reader": _reader,
    "storer": _storer,
    "server": _server,
    "driver": _driver,
}
