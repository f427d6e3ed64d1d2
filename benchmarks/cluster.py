"""A cluster of three nodes on this machine: what a client sees when one dies, during a load and during searches.

`python -m benchmarks cluster [POINTS] [DIMENSION] [no-index]`, with a `qdrant` executable on PATH: 1,000,000 made
points of 128 values, `--shards 3 --replicas 2`. Two clients, a process each, ask one node each for a search every
second, whether the last was answered or not, with cbir's own patience. One node is killed (SIGKILL) while points are
loaded, and started again while the load goes on; the index is built; another node, the one that the second client asks,
is killed while nothing is loaded, and started again. In the end every point has to be there once. Half an hour on two
cores, or ten minutes with `no-index`; what each second saw is written to bench-results/cluster.jsonl.

A hit is right if it is no farther than the tenth closest of all points whose storing had been confirmed when the
question was asked.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from os import environ
from pathlib import Path

import numpy as np

from benchmarks.like_features import like_features
from benchmarks.million_engines import ids, payloads
from benchmarks.setting import RESULTS, cpu_of, last_json, show, whole
from cbir.collection.interface import Collection
from cbir.collection.layout import Layout
from cbir.collection.metadata import Metadata
from cbir.collection.point import Hit
from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from cbir.core.errors import CbirError
from tests.qdrant import BINARY, QdrantProcess, cluster

POINTS, DIMENSION = 1_000_000, 128
SHARDS, REPLICAS = 3, 2
NAME, BLOCK, QUERIES, HITS = "points", 5_000, 60, 10
#: Shares of the load at which a node dies, and at which it is started again; seconds of each phase of searches alone.
DIES, RETURNS, REST = 0.3, 0.6, 20
#: The most seconds that a node may take to catch up.
CATCHES_UP = 1800
#: Seconds by which a client may be late without having been held up.
HELD = 1.5
#: Farther than the tenth by less than this is rounding; compared are sums of squares.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Asked:
    """A search: when, which query, how long it took, the distances of its hits, and why there are none."""

    at: float
    query: int
    seconds: float
    distances: list[float]
    problem: str


@dataclass(frozen=True)
class Phase:
    """What happened from a moment on, until the next."""

    name: str
    at: float


class Play:
    """What happened when: phases, and how many points had been stored."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.stored: list[tuple[float, int]] = []
        self.told: list[list[str]] = []

    def now(self, phase: str) -> None:
        """Begin a phase."""
        print(phase, file=sys.stderr, flush=True)
        self.phases.append(Phase(phase, time.monotonic()))

    def tell(self, what: str, value: str) -> None:
        """Remember a number."""
        print(what, value, file=sys.stderr, flush=True)
        self.told.append([what, value])

    def before(self, moment: float) -> int:
        """Return how many points had been stored at a moment."""
        return max((count for at, count in self.stored if at <= moment), default=0)


def main(arguments: list[str] | None = None) -> None:
    """Print the tables; `client` is the process of one."""
    if arguments and arguments[0] == "client":
        print(json.dumps([asdict(each) for each in client(arguments[1], Path(arguments[2]))]))
        return
    if BINARY is None:
        sys.exit("this benchmark starts servers of its own: put a `qdrant` executable on PATH")
    index = "no-index" not in (arguments or ())
    numbers = whole([each for each in arguments or () if each != "no-index"])
    points, dimension = [*numbers, *(POINTS, DIMENSION)[len(numbers) :]]
    with tempfile.TemporaryDirectory(dir=environ.get("CBIR_BENCH_DIR")) as place:
        folder = Path(place)
        vectors = np.concatenate(list(like_features(points, dimension)))
        queries = np.concatenate(list(like_features(QUERIES, dimension, seed=1)))
        np.save(folder / "queries.npy", queries)
        tenth = tenths(vectors, queries)
        nodes = cluster(folder)
        try:
            play, seen = played(nodes, vectors, folder, index)
        finally:
            for node in nodes:
                node.kill()
    title = f"{points:,} x {dimension}, three nodes, {SHARDS} shards, {REPLICAS} replicas"
    columns = ["", "seconds", "searches", "answered", "in 1 s", "p50, ms", "worst, ms", "recall@10", "least"]
    for asked, searches in seen.items():
        show(f"{title}: a client of {asked}", columns, by_phase(play, searches, tenth))
    show(title, ["", ""], play.told)
    keep(play, seen, tenth)


def played(
    nodes: Sequence[QdrantProcess], vectors: np.ndarray, folder: Path, index: bool
) -> tuple[Play, dict[str, list[Asked]]]:
    """Load, kill, search, kill; return what happened, and what clients saw."""
    asked, second, third = nodes
    play = Play()
    metadata = Metadata("0", vectors.shape[1], "m", ("made",), (1, 1, 1), "0", "", "")
    clients = {"a node that lives": asked, "the node that dies while searched": second}
    with closing(
        ServedEngine(Server(address(asked.url)), folder, layout=Layout(shards=SHARDS, replicas=REPLICAS))
    ) as engine:
        points = engine.create(NAME, metadata)
        with asking(clients, folder) as seen:
            load(points, vectors, play, nodes, third)
            if index:
                begin, before = time.monotonic(), processors(nodes)
                play.now("the index is built")
                points.build_index()
                seconds = f"{time.monotonic() - begin:.0f} s, {processors(nodes) - before:.0f} of processors"
                play.tell("index built in", seconds)
            play.now("searched, all nodes there")
            time.sleep(REST)
            second.kill()
            play.now("searched, one node killed")
            time.sleep(REST)
            play.now("searched, it was started again")
            play.tell("whole again after the kill during searches", f"{back(second, asked):.1f} s after its start")
            play.now("searched, whole again")
            time.sleep(REST)
            play.now("the end")
        check(points, vectors, nodes)
    for number, node in enumerate(nodes):
        own, both, disk = (each / 1e6 for each in (node.memory(), node.memory("VmRSS"), node.disk()))
        play.tell(f"node {number}", f"{own:,.0f} MB its own, {both:,.0f} with files, {disk:,.0f} on disk")
    return play, seen


def load(
    points: Collection, vectors: np.ndarray, play: Play, nodes: Sequence[QdrantProcess], dying: QdrantProcess
) -> None:
    """Store the vectors as an ingest does, and kill a node meanwhile; return once it has caught up."""
    begin = time.monotonic()
    points.pause_indexing()
    dies, returns = (int(share * len(vectors)) // BLOCK * BLOCK for share in (DIES, RETURNS))
    returning: threading.Thread | None = None

    def start_again() -> None:
        seconds = back(dying, nodes[0])
        play.now("loaded, whole again")
        play.tell("whole again after the kill during the load", f"{seconds:.1f} s after its start")

    play.now("loaded, all nodes there")
    for start in range(0, len(vectors), BLOCK):
        rows = range(start, min(start + BLOCK, len(vectors)))
        if start == dies:
            dying.kill()
            play.now("loaded, one node killed")
        elif start == returns:
            play.now("loaded, it was started again")
            returning = threading.Thread(target=start_again)
            returning.start()
        points.upsert(ids(rows), vectors[rows.start : rows.stop], payloads(rows))
        play.stored.append((time.monotonic(), rows.stop))
    play.tell("loaded in", f"{time.monotonic() - begin:.0f} s, {processors(nodes):.0f} of processors")
    if returning is not None:
        returning.join()


def back(node: QdrantProcess, asked: QdrantProcess) -> float:
    """Start a node, and wait until it has caught up; return the seconds."""
    begin = time.monotonic()
    node.start(wait=False)
    node.wait(CATCHES_UP)
    asked.wait_for_replicas(f"{NAME}@1", SHARDS * REPLICAS, CATCHES_UP)
    return time.monotonic() - begin


def processors(nodes: Sequence[QdrantProcess]) -> float:
    """Return the seconds that the nodes have taken of processors, since each was started."""
    return sum(cpu_of(node.pid) for node in nodes)


def check(points: Collection, vectors: np.ndarray, nodes: Sequence[QdrantProcess]) -> None:
    """Fail unless every point is stored once, with its vector, and alike in both replicas of each shard."""
    assert points.count() == len(vectors)
    stored = [int(i[-12:], 16) for page in points.scroll(vectors=False, fields=[]) for i in page.ids]
    np.testing.assert_array_equal(np.sort(stored), np.arange(len(vectors)))
    for row in np.random.default_rng(0).choice(len(vectors), min(2_000, len(vectors)), replace=False):
        (name,) = ids(range(row, row + 1))
        np.testing.assert_array_equal(points.vectors([name])[name], vectors[row])
    counts: dict[int, set[int]] = {}
    for node in nodes:
        for shard in node.told(f"collections/{NAME}@1/cluster")["local_shards"]:
            counts.setdefault(shard["shard_id"], set()).add(shard["points_count"])
    assert all(len(each) == 1 for each in counts.values()), counts


@contextmanager
def asking(clients: dict[str, QdrantProcess], folder: Path) -> Iterator[dict[str, list[Asked]]]:
    """Have clients search during the block; afterwards, what they saw is in what is yielded."""
    command = [sys.executable, "-m", "benchmarks", "cluster", "client"]
    running = {
        name: subprocess.Popen(
            [*command, node.url, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name, node in clients.items()
    }
    seen: dict[str, list[Asked]] = {}
    try:
        for process in running.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield seen
        for name, process in running.items():
            output, _ = process.communicate("", timeout=300)
            seen[name] = [Asked(**each) for each in last_json(output)]
    finally:
        for process in running.values():
            process.kill()


def client(url: str, folder: Path) -> list[Asked]:
    """Search once a second until standard input ends; searches while this process was held up itself are left out."""
    queries = np.load(folder / "queries.npy")
    seen: list[Asked] = []
    held: list[tuple[float, float]] = []
    threads: list[threading.Thread] = []
    ended = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    def ask(points: Collection, number: int) -> None:
        at, problem = time.monotonic(), ""
        found: list[Hit] = []
        try:
            found = points.search(queries[number], HITS)
        except CbirError as error:
            problem = str(error)
        assert len({hit.id for hit in found}) == len(found)
        seen.append(Asked(at, number, time.monotonic() - at, [hit.distance for hit in found], problem))

    with closing(ServedEngine(Server(address(url)), folder)) as engine, closing(engine.open(NAME)) as points:
        print("ready", flush=True)
        threading.Thread(target=wait_for_end, daemon=True).start()
        due = time.monotonic()
        for number in itertools.count():
            threads.append(threading.Thread(target=ask, args=(points, number % len(queries))))
            threads[-1].start()
            due += 1
            if ended.wait(max(0.0, due - time.monotonic())):
                break
            if (now := time.monotonic()) > due + HELD:
                held.append((due - 1, now))
                due = now
        for thread in threads:
            thread.join()
    free = (
        each for each in seen if not any(each.at < until and each.at + each.seconds > since for since, until in held)
    )
    return sorted(free, key=lambda each: each.at)


def tenths(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the square of the distance to the tenth closest of the first blocks, (blocks, queries)."""
    nearest = np.full((len(queries), HITS), np.inf)
    made = []
    for start in range(0, len(vectors), BLOCK):
        some = vectors[start : start + BLOCK]
        squares = (some**2).sum(1) + (queries**2).sum(1)[:, None] - 2 * queries @ some.T
        nearest = np.partition(np.concatenate([nearest, squares], axis=1), HITS - 1, axis=1)[:, :HITS]
        made.append(nearest.max(axis=1))
    return np.stack(made)


def recall(play: Play, asked: Asked, tenth: np.ndarray) -> float | None:
    """Return the share of an answer's hits that are right; None if there was no answer, or nothing to be found."""
    blocks = -(-play.before(asked.at) // BLOCK)
    if asked.problem or not blocks:
        return None
    limit = tenth[blocks - 1, asked.query] + ROUNDING
    return sum(distance**2 <= limit for distance in asked.distances) / HITS


def by_phase(play: Play, searches: Sequence[Asked], tenth: np.ndarray) -> list[list[str]]:
    """Return a row for each phase: what was asked during it."""
    rows = []
    for phase, following in zip(play.phases, play.phases[1:], strict=False):
        during = [each for each in searches if phase.at <= each.at < following.at]
        answered = [each for each in during if not each.problem]
        times = [1000 * each.seconds for each in answered]
        right = [found for each in during if (found := recall(play, each, tenth)) is not None]
        row = [phase.name, f"{following.at - phase.at:.0f}", f"{len(during)}", f"{len(answered)}"]
        row += [f"{sum(each <= 1000 for each in times)}"]
        row += [f"{np.median(times):.0f}", f"{max(times):.0f}"] if times else ["", ""]
        row += [f"{np.mean(right):.3f}", f"{min(right):.1f}"] if right else ["", ""]
        rows.append(row)
    return rows


def keep(play: Play, seen: dict[str, list[Asked]], tenth: np.ndarray) -> None:
    """Write what each second saw."""
    RESULTS.mkdir(exist_ok=True)
    begin = play.phases[0].at
    with (RESULTS / "cluster.jsonl").open("w") as file:
        for phase in play.phases:
            file.write(json.dumps({"at": round(phase.at - begin, 1), "phase": phase.name}) + "\n")
        for name, searches in seen.items():
            for each in searches:
                told = {"at": round(each.at - begin, 1), "asked": name, "ms": round(1000 * each.seconds, 1)}
                told |= {"recall": recall(play, each, tenth), "problem": each.problem}
                file.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
