"""A million vectors in an embedded collection, beside Qdrant Edge alone, faiss and hnswlib.

`python -m benchmarks million [POINTS] [DIMENSION] [ENGINE ...]`: 1,000,000 vectors of 128 values by default, and all
engines. The vectors are made (`like_features`). It needs `pip install faiss-cpu hnswlib`. Each engine has a process to
fill and index, and another to open and search. Graphs have 16 edges a point, are built with a width of 100 and searched
with the same; IVF has 4,096 lists, of which 32 are searched. An engine is opened twice: first with its files on disk
alone, as after a restart, when each filter is used once too; then by another process with all files in the system's
cache. That one searches. No query is searched twice: what one query touched makes the next like it faster. Memory is
what that process has after the searches, without what it had before it opened anything, so that pages of a mapped file
count once they were touched, though the system may take them back. So at last some engines search in a process that is
given so much memory and no more, mapped files among it, by a control group of Linux's (which root may make).

Aims for cbir: open and cold search in at most 1 s; a warm median of at most 3 ms at a recall@10 of 0.98; memory at most
1.3 times the vectors; load at 0.8 of Edge's own rate.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.like_features import SHAPES, intrinsic_dimension, like_features
from benchmarks.machine import forget, limit, remember, resident
from benchmarks.million_engines import ENGINES, Engine
from benchmarks.setting import last_json, show, timed, whole

POINTS, DIMENSION = 1_000_000, 128
QUERIES = 201
#: What is searched, beside all: a share of the points, by the remainder of their number.
FILTERS = {"1%": 100, "50%": 2}
#: What is timed: how many are found, and among every how many-th; each with queries of its own.
SEARCHES = {"10": (10, 1), "100": (100, 1), **{name: (10, every) for name, every in FILTERS.items()}}
#: Within how many times the vectors' memory an engine is asked to search, mapped files among it.
WITHIN = {"cbir": 1.3, "edge": 1.3, "cbir-int8": 0.4, "cbir-turbo": 0.4, "cbir-binary": 0.4}
BLOCK = 100_000


def main(arguments: list[str] | None = None) -> None:
    """Print the table; `fill`, `start`, `search` and `bounded` are the processes of one engine."""
    verb, *others = arguments or [""]
    if verb == "fill":
        print(json.dumps(fill(ENGINES[others[0]](Path(others[1])), Path(others[1]))))
    elif verb == "start":
        engine = ENGINES[others[0]](Path(others[1]))
        print(json.dumps(started(engine, Path(others[1]))))
        for every in FILTERS.values():  # cbir indexes a field when a filter first names it
            engine.narrow(every)
            engine.search(np.load(Path(others[1]) / "queries-10.npy")[0], 10)
        engine.close()
    elif verb == "bounded":
        print(json.dumps(bounded(ENGINES[others[0]](Path(others[1])), Path(others[1]), float(others[2]))))
    elif verb == "search":
        print(json.dumps(search(ENGINES[others[0]](Path(others[1])), Path(others[1]))))
    else:
        numbers = whole([each for each in arguments or () if each[0].isdigit()])
        points, dimension = [*numbers, *(POINTS, DIMENSION)[len(numbers) :]]
        engines = [each for each in arguments or () if not each[0].isdigit()]
        if dimension not in SHAPES or not set(engines) <= set(ENGINES):
            sys.exit(f"vectors have {' or '.join(map(str, SHAPES))} values; the engines are {', '.join(ENGINES)}")
        compare(points, dimension, engines or list(ENGINES))


def compare(points: int, dimension: int, engines: list[str]) -> None:
    """Print a row for each engine."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("CBIR_BENCH_DIR")) as folder:
        vectors = made(Path(folder), points, dimension)
        print(f"intrinsic dimension {intrinsic_dimension(vectors[:60_000]):.1f} of 60,000", file=sys.stderr, flush=True)
        stored, answered = [], []
        for name in engines:
            print(name, file=sys.stderr, flush=True)
            filled, restarted, found = measured(name, folder)
            seconds, size = (f"{filled[each]:.0f}" for each in ("load", "index")), vectors.nbytes
            sizes = f"{filled['disk'] / size:.2f}", f"{found['memory'] / size:.2f}"
            opened = (f"{each[when]:.2f}" for each in (restarted, found) for when in ("open", "cold"))
            stored.append([name, *seconds, f"{filled['processor']:.0f}", *sizes, *opened])
            warm = [f"{1000 * found['warm'][each]:.2f}" for each in SEARCHES]
            if name in WITHIN:
                warm.append(f"{1000 * in_bounds(name, folder, WITHIN[name] * size):.1f} in {WITHIN[name]}")
            else:
                warm.append("")
            answered.append([name, *warm, *(f"{each:.3f}" for each in found["recall"].values())])
    made_of = f"{points:,} x {dimension}, {vectors.nbytes / 1e6:,.0f} MB"
    opening = ("open from disk, s", "first search, s", "open, s", "first search, s")
    columns = ("", "load, s", "index, s", "processor, s", "disk", "memory", *opening)
    show(f"{made_of}; disk and memory: times that", columns, stored)
    recalls = ("recall@10", "recall@100", "of 1%", "of 50%")
    searched = ("", "k = 10", "k = 100", "of 1%", "of 50%", "k = 10 in little memory", *recalls)
    show(f"{made_of}: a warm search, median ms, of all or some points, and recall", searched, answered)


def measured(name: str, folder: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return what `fill`, `start` and `search` give of an engine, each in a process of its own.

    The processor time of the first is added, with that of the process that builds cbir's index.
    """
    found = []
    for verb in ("fill", "start", "search"):
        if verb == "start":
            forget(Path(folder))
        run = timed(["-m", "benchmarks", "million", verb, name, folder])
        found.append({**last_json(run.output), "processor": run.cpu})
    return found[0], found[1], found[2]


def in_bounds(name: str, folder: str, most: float) -> float:
    """Return the median seconds of a search within bytes of memory, in a process of its own."""
    forget(Path(folder))
    return float(last_json(timed(["-m", "benchmarks", "million", "bounded", name, folder, str(most)]).output))


def made(folder: Path, points: int, dimension: int) -> np.ndarray:
    """Write vectors, queries and the exact answers to a folder; return the vectors, a mapped file."""
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (points, dimension))
    at = 0
    for block in like_features(points, dimension):
        vectors[at : at + len(block)] = block
        at += len(block)
    queries = np.concatenate(list(like_features(QUERIES * len(SEARCHES), dimension, seed=1)))
    for (name, (k, every)), some in zip(SEARCHES.items(), np.split(queries, len(SEARCHES)), strict=True):
        np.save(folder / f"queries-{name}.npy", some)
        np.save(folder / f"exact-{name}.npy", exact(vectors, some, every, k))
    return vectors


def exact(vectors: np.ndarray, queries: np.ndarray, every: int, k: int) -> np.ndarray:
    """Return the rows of the closest vectors among each `every`th, (queries, k)."""
    best = np.full((len(queries), k), np.inf)
    rows = np.zeros((len(queries), k), np.int64)
    for start in range(0, len(vectors), BLOCK):
        numbers = np.arange(start + -start % every, min(start + BLOCK, len(vectors)), every)
        some = np.asarray(vectors[numbers])
        squares = (some**2).sum(1) - 2 * queries @ some.T
        near = np.argpartition(squares, k - 1, axis=1)[:, :k]
        both = np.concatenate([best, np.take_along_axis(squares, near, 1)], 1)
        names = np.concatenate([rows, numbers[near]], 1)
        order = np.argsort(both, axis=1)[:, :k]
        best, rows = np.take_along_axis(both, order, 1), np.take_along_axis(names, order, 1)
    return rows


def fill(engine: Engine, folder: Path) -> dict[str, Any]:
    """Load and index; return the seconds of each, and the bytes on disk."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    start = time.perf_counter()
    engine.load(vectors)
    loaded = time.perf_counter()
    engine.index()
    return {"load": loaded - start, "index": time.perf_counter() - loaded, "disk": engine.disk()}


def started(engine: Engine, folder: Path) -> dict[str, Any]:
    """Open and search once; return the seconds of each."""
    query = np.load(folder / "queries-10.npy")[-1]
    begun = time.perf_counter()
    engine.open()
    opened = time.perf_counter()
    engine.search(query, 10)
    return {"open": opened - begun, "cold": time.perf_counter() - opened}


def bounded(engine: Engine, folder: Path, most: float) -> float:
    """Open and search within bytes of memory, and what this process has already; return the median seconds."""
    queries = np.load(folder / "queries-10.npy")
    limit(os.getpid(), most + resident())
    engine.open()
    seconds = []
    for query in queries:
        begun = time.perf_counter()
        engine.search(query, 10)
        seconds.append(time.perf_counter() - begun)
    engine.close()
    return median(seconds)


def search(engine: Engine, folder: Path) -> dict[str, Any]:
    """Open and search; return the seconds, the recall of what is found, and the bytes of memory."""
    remember(folder)
    before = resident()
    warm, recall = {}, {}
    starting = started(engine, folder)
    for name, (k, every) in SEARCHES.items():
        queries, right = (np.load(folder / f"{kind}-{name}.npy") for kind in ("queries", "exact"))
        engine.narrow(every)
        engine.search(queries[-1], k)
        seconds, hits = [], []
        for query in queries[:-1]:
            begun = time.perf_counter()
            hits.append(engine.search(query, k))
            seconds.append(time.perf_counter() - begun)
        warm[name] = median(seconds)
        shared = [len(set(a) & set(b)) for a, b in zip(hits, right[:-1].tolist(), strict=True)]
        recall[name] = float(np.mean(shared)) / k
    return {**starting, "warm": warm, "recall": recall, "memory": resident() - before}


if __name__ == "__main__":
    main(sys.argv[1:])
