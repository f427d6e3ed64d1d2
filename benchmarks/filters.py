"""Filtered searches of an embedded collection: without an index, with the one that the first search makes, and then."""

import statistics
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.setting import show
from cbir.collection.embedded import filters
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.filter_text import parse_where
from cbir.collection.interface import Collection
from cbir.collection.metadata import Metadata

POINTS, DIMENSION, QUERIES = 100_000, 256, 9
CONDITIONS = (
    "camera=Camera 3",
    "camera!=Camera 3",
    "folder=album 3/**",
    "name=*5.jpg",
    "bytes>9MB",
    "taken_at=2012-06",
    "taken_at>=2012",
    "gps=48.85,2.35,300km",
    "lens=*",
)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, closing(_filled(Path(folder))) as points:
        rows: list[tuple[str, ...]] = [("none", "", "", _milliseconds(points, None), f"{POINTS:,}")]
        rows += [_row(points, condition) for condition in CONDITIONS]
    columns = ("condition", "no index", "first", "then", "pass")
    show(f"Milliseconds of a search, k = 10, {POINTS:,} x {DIMENSION} embedded, medians", columns, rows)


def _row(points: Collection, condition: str) -> tuple[str, ...]:
    where = parse_where([condition])
    worthwhile = filters.INDEXED_ABOVE
    filters.INDEXED_ABOVE = POINTS + 1
    without = _milliseconds(points, where)
    filters.INDEXED_ABOVE = worthwhile
    first = _milliseconds(points, where, queries=1)
    return condition, without, first, _milliseconds(points, where), f"{points.count(where=where):,}"


def _milliseconds(points: Collection, where: Any, queries: int = QUERIES) -> str:
    seconds = []
    for query in np.random.default_rng(1).random((queries, DIMENSION), np.float32):
        start = time.perf_counter()
        points.search(query, 10, where=where)
        seconds.append(time.perf_counter() - start)
    return f"{1000 * statistics.median(seconds):.1f}"


def _filled(folder: Path) -> Collection:
    """Return a collection of points whose payloads are like those of photographs."""
    metadata = Metadata("0", DIMENSION, "m", ("photos",), (1, 1, 1), "0", "", "")
    points = EmbeddedEngine(folder).create("photos", metadata)
    draw = np.random.default_rng(0)
    for start in range(0, POINTS, 1000):
        numbers = range(start, start + 1000)
        ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in numbers]
        points.upsert(ids, draw.random((1000, DIMENSION), np.float32), [_payload(number, draw) for number in numbers])
    return points


def _payload(number: int, draw: np.random.Generator) -> dict[str, Any]:
    folder, name = f"album {number % 500}/day {number % 7}", f"IMG_{number:06}.jpg"
    return {
        "uri": f"{folder}/{name}",
        "source": "photos",
        "folder": folder,
        "name": name,
        "format": "JPEG",
        "width": 4000,
        "height": 3000,
        "bytes": int(draw.integers(100_000, 10_000_000)),
        "modified": 1_500_000_000_000_000_000 + number * 10**12,
        "sha256": f"{number:064x}",
        "taken_at": f"{2010 + number // 12 % 10}-{1 + number % 12:02}-{1 + number % 28:02}T12:00:00Z",
        "camera": f"Camera {number % 20}",
        "lens": f"Lens {number % 30}",
        "gps": {"lon": float(draw.uniform(-180, 180)), "lat": float(draw.uniform(-90, 90))},
    }
