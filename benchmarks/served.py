"""A collection of 60,000 x 128 on a Qdrant server of this machine.

`python -m benchmarks served`, with a `qdrant` executable on PATH. Upload beside
qdrant-client's own `upload_collection`; search by one client and by eight at
once, each a process of its own; and for each quantization recall@10 against
exact search, the server's memory, and its disk.
Aim: upload at least as fast as qdrant-client's.
"""

import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from qdrant_client import QdrantClient, models

from benchmarks.clients import clients
from benchmarks.setting import mnist, show, trained
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.fields import indexes_from_start
from cbir.collection.layout import QUANTIZATIONS, Layout
from cbir.collection.metadata import Metadata
from cbir.collection.point import Payload
from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from cbir.ingest.sources.source import Source
from cbir.model.bundle import read_bundle
from tests.qdrant import BINARY, QdrantProcess

ROUNDS, QUERIES, CLIENTS = 3, 500, 8


@dataclass(frozen=True)
class Points:
    """What is stored, and `queries` (m, d) float32 of images held out."""

    metadata: Metadata
    ids: list[str]
    vectors: np.ndarray
    payloads: list[Payload]
    queries: np.ndarray


def main() -> None:
    """Print what a server gives."""
    if BINARY is None:
        sys.exit("the served benchmark starts servers of its own: put a `qdrant` executable on PATH")
    points = features(mnist())
    with tempfile.TemporaryDirectory() as folder:
        uploads = upload(points, Path(folder) / "upload")
        rows = [kind(points, Path(folder) / str(name), name) for name in (None, *QUANTIZATIONS, "on disk")]
    ours, theirs = (median(speeds) for speeds in zip(*uploads, strict=True))
    show(
        "Upload of 60,000 x 128, points a second, medians",
        ["", "cbir", "qdrant-client", "ratio"],
        [["upsert", f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.2f}"]],
    )
    columns = ["recall@10", "1 client: p50", "p99, ms", f"{CLIENTS} clients: p50", "p99, ms", "memory", "disk", "index"]
    show("Search of 60,000 x 128, and what the server takes", ["vectors", *columns], rows)


def features(source: Source) -> Points:
    place = trained()
    with closing(EmbeddedEngine(place / "collections").open("mnist")) as stored:
        pages = list(stored.scroll())
        metadata = stored.metadata
    bundle = read_bundle(place / "models" / metadata.model)
    pixels = [bundle.preprocessing.pixels(item.open()) for item in source.queries()[:QUERIES]]
    return Points(
        metadata,
        [i for page in pages for i in page.ids],
        np.concatenate([page.vectors for page in pages]),
        [payload for page in pages for payload in page.payloads],
        bundle.encoder().encode(np.stack(pixels)),
    )


def upload(points: Points, folder: Path) -> list[tuple[float, float]]:
    """Return points a second, ours and theirs, turn by turn on one server, until all can be counted."""
    process = QdrantProcess(folder).start()
    try:
        with closing(ServedEngine(Server(address(process.url)), folder)) as engine:
            return [(ours(engine, points), theirs(process, points)) for _ in range(ROUNDS)]
    finally:
        process.kill()


def ours(engine: ServedEngine, points: Points) -> float:
    collection = engine.create("ours", points.metadata)
    collection.pause_indexing()
    start = time.perf_counter()
    collection.upsert(points.ids, points.vectors, points.payloads)
    assert collection.count() == len(points.ids)
    seconds = time.perf_counter() - start
    engine.delete("ours")
    return len(points.ids) / seconds


def theirs(process: QdrantProcess, points: Points) -> float:
    client = QdrantClient(
        url=process.url, grpc_port=process.grpc_port, prefer_grpc=True, check_compatibility=False, timeout=60
    )
    vectors = models.VectorParams(size=points.metadata.dimension, distance=models.Distance.EUCLID)
    held_back = models.OptimizersConfigDiff(indexing_threshold=0)
    client.create_collection("theirs", vectors_config=vectors, optimizers_config=held_back)
    for field, kind in indexes_from_start().items():
        client.create_payload_index("theirs", field, models.PayloadSchemaType(kind))
    client.create_payload_index("theirs", "label", models.PayloadSchemaType.INTEGER)
    start = time.perf_counter()
    client.upload_collection("theirs", points.vectors, points.payloads, points.ids)
    while client.count("theirs", exact=True).count < len(points.ids):
        time.sleep(0.01)
    seconds = time.perf_counter() - start
    client.delete_collection("theirs")
    client.close()
    return len(points.ids) / seconds


def kind(points: Points, folder: Path, name: str | None) -> list[str]:
    """Measure one layout on a server of its own."""
    layout = Layout(on_disk=True) if name == "on disk" else Layout(quantization=name)
    process = QdrantProcess(folder).start()
    try:
        with closing(ServedEngine(Server(address(process.url)), folder, layout=layout)) as engine:
            collection = engine.create("points", points.metadata)
            collection.pause_indexing()
            collection.upsert(points.ids, points.vectors, points.payloads)
            start = time.perf_counter()
            collection.build_index(small=True)
            index = time.perf_counter() - start
            found = collection.search_batch(points.queries, 10)
            exact = collection.search_batch(points.queries, 10, exact=True)
        recall = np.mean([len({h.id for h in a} & {h.id for h in b}) / 10 for a, b in zip(found, exact, strict=True)])
        np.save(folder / "queries.npy", points.queries)
        asked = [clients(count, process.url, folder / "queries.npy") for count in (1, CLIENTS)]
        times = [f"{each.percentile(share):.1f}" for each in asked for share in (50, 99)]
        # Started anew, so that what loading and indexing needed is not counted.
        process.stop()
        process.start()
        with (
            closing(ServedEngine(Server(address(process.url)), folder)) as engine,
            closing(engine.open("points")) as collection,
        ):
            collection.search_batch(points.queries, 10)
            memory = process.memory()
        disk = process.disk()
    finally:
        process.kill()
    return [name or "as they are", f"{recall:.4f}", *times, mb(memory), mb(disk), f"{index:.0f} s"]


def mb(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
