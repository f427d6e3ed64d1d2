"""A real server that is killed in the middle of an ingest: the ingest waits for it, or the next one goes on."""

import random
import threading
import time
from contextlib import closing
from pathlib import Path

from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from tests.qdrant import QdrantProcess
from tests.torture.ground import ENCODER, Ground
from tests.torture.kills import NAME
from tests.torture.process import ended, start


def power_cut(base: Path, chance: random.Random, pictures: int) -> list[str]:
    """Fill a collection on a server that is killed once or twice; return how the ingests ended."""
    ground = Ground(base, chance, pictures)
    qdrant = QdrantProcess(base / "qdrant").start()
    outcomes = []
    try:
        for arguments in (["--encoder", ENCODER], ["--prune", "--force"], ["--encoder", ENCODER, "--retrain"]):
            command = ["ingest", *map(str, ground.roots), "-c", NAME, "--qdrant-url", qdrant.url, *arguments]
            process = start(command, ground.environment())
            cut = threading.Thread(target=_cut, args=(qdrant, chance.uniform(0, 1.5), chance.uniform(0, 1)))
            cut.start()
            end = ended(process)
            cut.join()
            end.assert_understood()
            outcomes.append("completed" if end.code == 0 else "gave up")
            if end.code:
                end = ended(start(command, ground.environment()))
                assert end.code == 0, end.said
            with closing(ServedEngine(Server(address(qdrant.url)), ground.home / "locks")) as engine:
                ground.assert_unbroken(engine, NAME)
            ground.change()
    finally:
        qdrant.kill()
    return outcomes


def _cut(qdrant: QdrantProcess, after: float, dark: float) -> None:
    time.sleep(after)
    qdrant.kill()
    time.sleep(dark)
    qdrant.start()
