"""A million vectors on a Qdrant server: what each layout takes and finds, and searches by 1, 8 and 64 clients.

`python -m benchmarks million_served [fill] [layouts] [clients] [POINTS] [DIMENSION]`, with a `qdrant` executable on
PATH: 1,000,000 made vectors (`like_features`) of 128 values by default. `fill` loads them through cbir and indexes
them, once; each other layout is a copy whose settings are changed. `layouts` measures each on a server that was started
anew; `clients` searches the vectors as they are, through cbir and by plain requests that ask the same, turn by turn.
These two want both cores alone, for three and two minutes. What `fill` made, an hour's work of two cores, is kept in
bench-results/million-served, 1 GB a layout.

Memory: the server's own, and with the pages of its files that are in memory, which the system takes back when others
need it. Where this process may limit memory (Linux, as root), searches are measured within a bound too.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from benchmarks.clients import NAME, clients
from benchmarks.like_features import like_features
from benchmarks.machine import forget, limit
from benchmarks.million import made
from benchmarks.million_engines import ids, payloads
from benchmarks.setting import RESULTS, cpu_of, show, whole
from cbir.collection.layout import QUANTIZATIONS, Layout
from cbir.collection.metadata import Metadata
from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from cbir.collection.served.settings import settings
from tests.qdrant import BINARY, QdrantProcess

POINTS, DIMENSION = 1_000_000, 128
BLOCK, QUERIES, TURNS, COUNTS = 5_000, 5_000, 2, (1, 8, 64)
PLAIN = "as they are"
#: Each with what it is a copy of: to put vectors on disk takes seconds, to quantize them a new graph.
LAYOUTS: dict[str, tuple[Layout, str]] = {PLAIN: (Layout(), ""), "on disk": (Layout(on_disk=True), PLAIN)}
for _name in QUANTIZATIONS:
    LAYOUTS[_name] = Layout(quantization=_name), PLAIN
    LAYOUTS[f"{_name}, on disk"] = Layout(quantization=_name, on_disk=True), _name
#: Which layouts are searched within what the server has of its own, and how many times the bytes of the vectors more.
BOUNDED = ((PLAIN, 0.8), (PLAIN, 0.4), ("int8, on disk", 0.8), ("int8, on disk", 0.4))
WAITED = 3600.0

Payloads = Callable[[range], list[dict[str, Any]]]


def main(arguments: list[str] | None = None) -> None:
    """Do all parts, or those named."""
    if BINARY is None:
        sys.exit("this benchmark starts servers of its own: put a `qdrant` executable on PATH")
    numbers = whole([each for each in arguments or () if each[0].isdigit()])
    points, dimension = [*numbers, *(POINTS, DIMENSION)[len(numbers) :]]
    parts = [each for each in arguments or () if not each[0].isdigit()] or ["fill", "layouts", "clients"]
    folder = place(points, dimension)
    told = filled(folder, points, dimension, [PLAIN] if parts == ["clients"] else LAYOUTS)
    size = 4 * points * dimension
    if "fill" in parts:
        loads = [[name, *(f"{each:.0f}" for each in told[name].values())] for name in told]
        show(
            f"{points:,} x {dimension}: seconds, and those of the server's processors",
            ["", "load", "", "index", ""],
            loads,
        )
    if "layouts" in parts:
        by_layout = {name: searched(folder, name) for name in LAYOUTS}
        rows = [row(name, found) for name, found in by_layout.items()]
        own = {name: found["memory"] for name, found in by_layout.items()}
        rows += [row(f"{name}, in {most / 1e6:.0f} MB", found) for name, most, found in bounded(folder, size, own)]
        columns = ["", "recall@10", "first search", "p50, ms", "p99, ms", "memory, MB", "with files, MB", "disk, MB"]
        show(f"{points:,} x {dimension}, {size / 1e6:.0f} MB, by layout", columns, rows)
    if "clients" in parts:
        columns = ["", "searches/s", "p50, ms", "p99, ms", "processor ms: server", "client"]
        show(f"{points:,} x {dimension}: clients at once", columns, by_clients(folder))


def place(points: int, dimension: int, kind: str = "") -> Path:
    """Return the folder in which what is made is kept."""
    return RESULTS.absolute() / "million-served" / f"{points}x{dimension}{kind}"


def filled(
    folder: Path, points: int, dimension: int, names: Iterable[str], payload: Payloads = payloads
) -> dict[str, dict[str, float]]:
    """Return the seconds that it took to make each layout; make those that are not there."""
    told = folder / "filled.json"
    seconds: dict[str, dict[str, float]] = json.loads(told.read_text()) if told.exists() else {}
    for name in names:
        if name in seconds:
            continue
        print(folder.name, name, file=sys.stderr, flush=True)
        shutil.rmtree(folder / name, ignore_errors=True)
        layout, base = LAYOUTS[name]
        if name == PLAIN:
            folder.mkdir(parents=True, exist_ok=True)
            made(folder, points, dimension)
            np.save(folder / "asked.npy", np.concatenate(list(like_features(QUERIES, dimension, seed=2))))
            seconds[name] = load(folder, np.load(folder / "vectors.npy", mmap_mode="r"), payload)
        else:
            shutil.copytree(folder / base, folder / name)
            seconds[name] = change(folder / name, layout)
        told.write_text(json.dumps(seconds, indent=1))
    return seconds


def load(folder: Path, vectors: np.ndarray, payload: Payloads) -> dict[str, float]:
    """Load a new server as an ingest does, and index; return the seconds, of the clock and of its processors."""
    metadata = Metadata("0", vectors.shape[1], "m", ("made",), (1, 1, 1), "0", "", "")
    with started(folder / PLAIN) as process, engine_at(process) as engine:
        collection = engine.create(NAME, metadata)
        collection.pause_indexing()
        begin, before = perf_counter(), cpu_of(process.pid)
        for start in range(0, len(vectors), BLOCK):
            rows = range(start, min(start + BLOCK, len(vectors)))
            collection.upsert(ids(rows), np.asarray(vectors[rows.start : rows.stop]), payload(rows))
        loaded, between = perf_counter(), cpu_of(process.pid)
        collection.build_index(small=True)
        return {
            "load": loaded - begin,
            "load, server": between - before,
            "index": perf_counter() - loaded,
            "index, server": cpu_of(process.pid) - between,
        }


def change(folder: Path, layout: Layout) -> dict[str, float]:
    """Give a filled server's collection another layout; return the seconds."""
    with started(folder) as process, engine_at(process) as engine:
        begin, before = perf_counter(), cpu_of(process.pid)
        client = QdrantClient(url=process.url, check_compatibility=False, timeout=60)
        quantized = settings(layout).get("quantization_config")
        on_disk = {"": models.VectorParamsDiff(on_disk=True)} if layout.on_disk else None
        client.update_collection(NAME, quantization_config=quantized, vectors_config=on_disk)
        engine.open(NAME).build_index(small=True)
        client.close()
        return {
            "load": 0,
            "load, server": 0,
            "index": perf_counter() - begin,
            "index, server": cpu_of(process.pid) - before,
        }


def searched(folder: Path, name: str, most: float | None = None) -> dict[str, float]:
    """Return what the searches of one layout find and take, on a server started anew; `most`: bytes of memory."""
    queries, exact = np.load(folder / "queries-10.npy"), np.load(folder / "exact-10.npy")
    with started(folder / name, most) as process, engine_at(process) as engine:
        begin = perf_counter()
        collection = engine.open(NAME)
        collection.search(queries[0], 10)
        first = perf_counter() - begin
        found = collection.search_batch(queries, 10)
        hits = [{hit.payload["index"] for hit in each} for each in found]
        asked = clients(1, process.url, folder / "asked.npy")
        return {
            "recall": float(np.mean([len(a & set(b)) / 10 for a, b in zip(hits, exact.tolist(), strict=True)])),
            "first": first,
            "p50": asked.percentile(50),
            "p99": asked.percentile(99),
            "memory": process.memory(),
            "resident": process.memory("VmRSS"),
            "disk": process.disk(),
        }


def bounded(folder: Path, size: int, own: Mapping[str, float]) -> Iterator[tuple[str, float, dict[str, float]]]:
    """Yield what is found within bounds of memory, where they can be set."""
    for name, share in BOUNDED:
        most = own[name] + share * size
        try:
            yield name, most, searched(folder, name, most)
        except PermissionError as error:
            print(f"memory cannot be limited here: {error}", file=sys.stderr)
            return
        except AssertionError as error:
            print(f"{name}, {most}: {error}", file=sys.stderr)


def row(name: str, found: dict[str, float]) -> list[str]:
    times = [f"{1000 * found['first']:.0f} ms", f"{found['p50']:.1f}", f"{found['p99']:.1f}"]
    sizes = (f"{found[each] / 1e6:,.0f}" for each in ("memory", "resident", "disk"))
    return [name, f"{found['recall']:.4f}", *times, *sizes]


def by_clients(folder: Path) -> list[list[str]]:
    """Return a row for each number of clients, through cbir and by plain requests, the better of two turns."""
    rows = []
    with started(folder / PLAIN) as process:
        clients(8, process.url, folder / "asked.npy", bare=True)  # what is searched comes into memory
        for count in COUNTS:
            turns: dict[bool, list[tuple[Any, float]]] = {False: [], True: []}
            for bare in (False, True) * TURNS:
                before = cpu_of(process.pid)
                asked = clients(count, process.url, folder / "asked.npy", bare=bare)
                turns[bare].append((asked, cpu_of(process.pid) - before))
            for bare, seen in turns.items():
                asked, server = min(seen, key=lambda each: each[0].percentile(50))
                times = [f"{asked.rate:.0f}", *(f"{asked.percentile(share):.1f}" for share in (50, 99))]
                processor = [f"{1000 * each / len(asked.times):.2f}" for each in (server, asked.cpu)]
                rows.append([f"{count}, {'plain requests' if bare else 'cbir'}", *times, *processor])
    return rows


@contextmanager
def started(folder: Path, most: float | None = None) -> Iterator[QdrantProcess]:
    """Start a server, if wanted within bytes of memory and with none of its files there."""
    process = QdrantProcess(folder)
    try:
        if most is None:
            process.start()
        else:
            forget(folder)
            process.start(wait=False)
            limit(process.pid, most)
            process.wait()
        yield process
        process.stop()
    finally:
        process.kill()


@contextmanager
def engine_at(process: QdrantProcess) -> Iterator[ServedEngine]:
    with closing(ServedEngine(Server(address(process.url), retry_for=WAITED), process.folder)) as engine:
        yield engine


if __name__ == "__main__":
    main(sys.argv[1:])
