"""Does memory grow with a collection? What each command holds at most, of few points and of many.

`python -m benchmarks memory [POINTS ...]`: 100,000 and 1,000,000 by default, of 128 values and with the payloads of
files. Each command has a process of its own. The engine maps its files into memory, which the system takes back when
others need it: beside all that a process had stands what is its own alone (Linux: RssAnon), asked for ten times a
second. With CBIR_BENCH_QDRANT, a server's address, `push` and `pull` are measured too; their collection is removed
from it.
Aim: what is its own at a million points is at most 1.2 times that at 100,000.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

import cbir
from benchmarks.like_features import like_features
from benchmarks.setting import show, timed, whole
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.home import embedded_engine
from cbir.collection.point import content_id
from cbir.core.settings import read_settings
from cbir.evaluate.evaluation import store_evaluation
from cbir.evaluate.options import EvaluationOptions
from cbir.evaluate.protocol import evaluate as evaluate_stored

POINTS, DIMENSION = (100_000, 1_000_000), 128
NAME, QUERIES, LABELS = "c", 100, 100
#: A distance of duplicates that no two made points have.
NEAR = 0.02
SERVER = "CBIR_BENCH_QDRANT"


def main(arguments: list[str] | None = None) -> None:
    """Print the table; the name of a step is the process of one command."""
    if arguments and arguments[0] in STEPS:
        STEPS[arguments[0]](*map(str, arguments[1:]))
        return
    sizes = whole(arguments) or list(POINTS)
    found = [of(points) for points in sizes]
    rows = [
        [
            step,
            *(f"{each[step][0] / 1e6:,.0f} ({each[step][1] / 1e6:,.0f})" for each in found),
            f"{found[-1][step][0] / found[0][step][0]:.2f}",
            f"{found[-1][step][2]:,.0f}",
        ]
        for step in found[0]
    ]
    columns = ["", *(f"{points:,} points" for points in sizes), "ratio", "s"]
    show("Peak memory in MB: a process's own (and with the files that it maps)", columns, rows)


def of(points: int) -> dict[str, tuple[int, int, float]]:
    """Return each step's peaks in bytes, of its own and in all, and its seconds of processor time."""
    made = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("CBIR_BENCH_DIR")) as home:
        for step in STEPS:
            if step in SERVED and SERVER not in os.environ:
                continue
            done = timed(["-m", "benchmarks", "memory", step, home, str(points)], watch=own, CBIR_HOME=home)
            made[step] = done.watched_peak, done.peak, done.cpu
            print(points, step, made[step], file=sys.stderr, flush=True)
    return made


def own(pid: int) -> int:
    """Return the bytes of memory that a process has and that are no file's; 0 once it has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def fill(home: str, points: str) -> None:
    """Make a collection of some pictures, and store made points beside them as an ingest does."""
    folder = Path(home) / "pictures"
    for number in range(160):
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(pixels).save(folder / "ab"[number % 2] / f"{number}.png")
    cbir.ingest(folder, encoder=f"pca:values={DIMENSION}", collection=NAME)
    start = 0
    with closing(_engine()) as engine, closing(engine.open(NAME)) as collection:
        collection.pause_indexing()  # as an ingest does: the index grows in steps
        for block in like_features(int(points), DIMENSION):
            for first in range(0, len(block), 5_000):
                some = block[first : first + 5_000]
                payloads = [file_payload(number) for number in range(start, start + len(some))]
                collection.upsert([content_id(str(payload["sha256"])) for payload in payloads], some, payloads)
                start += len(some)


def file_payload(number: int) -> dict[str, object]:
    """Return what an ingest of files stores with a point."""
    return {
        "uri": f"folder {number // 1000:05}/picture {number:08}.jpg",
        "source": "elsewhere",
        "label": f"class {number % LABELS}",
        "sha256": hashlib.sha256(str(number).encode()).hexdigest(),
        "bytes": 3_000_000 + number,
        "modified": 10**18 + number,
        "inode": number,
        "changed": 10**18 + number,
        "width": 4000,
        "height": 3000,
        "format": "JPEG",
        "border_brightness": 0.5,
    }


def opening(_: str, __: str) -> None:
    """Open the collection, which all that follows does."""
    with cbir.open(NAME) as searcher:
        searcher.collection.count()


def evaluate(home: str, _: str) -> None:
    """Rank everything for some stored queries, and score it."""
    with cbir.open(NAME) as searcher:
        run = evaluate_stored(searcher, [], EvaluationOptions(queries=QUERIES))
    store_evaluation(run, Path(home) / "run")


def again(home: str, _: str) -> None:
    """Ingest the pictures again, of which nothing is new."""
    cbir.ingest(Path(home) / "pictures", collection=NAME, index=False)


def duplicates(_: str, __: str) -> None:
    """Look for the same picture twice; the made points are no pictures, so that the distance is given."""
    cbir.duplicates(NAME, max_distance=NEAR)


def snapshot(home: str, _: str) -> None:
    """Write an archive."""
    _engine().snapshot(NAME, Path(home) / "archive")


def restore(home: str, _: str) -> None:
    """Read it."""
    _engine().restore(Path(home) / "archive", "restored")


def push(_: str, __: str) -> None:
    """Copy to a server."""
    cbir.push(NAME, qdrant_url=os.environ[SERVER], index=False)


def pull(home: str, _: str) -> None:
    """Copy from a server to another home."""
    os.environ["CBIR_HOME"] = f"{home}/other"
    cbir.pull(NAME, qdrant_url=os.environ[SERVER], index=False)
    cbir.remove(NAME, qdrant_url=os.environ[SERVER])


def _engine() -> EmbeddedEngine:
    return embedded_engine(read_settings())


STEPS: dict[str, Callable[[str, str], None]] = {
    each.__name__: each for each in (fill, opening, evaluate, again, duplicates, snapshot, restore, push, pull)
}
SERVED = ("push", "pull")
