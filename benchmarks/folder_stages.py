"""One stage of an ingest alone: `python -m benchmarks.folder_stages STAGE FOLDER MODEL MOST` prints how fast it is.

Each with all the cores, with nothing else to do, and with what it needs in memory: what the whole would take if the
others cost nothing.
"""

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.setting import family_cpu
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.interface import Collection
from cbir.collection.metadata import Metadata
from cbir.collection.point import content_id
from cbir.core.workers import ordered_map
from cbir.ingest.decode import Inputs, open_items
from cbir.ingest.described import new_payload
from cbir.ingest.sources.catalogue import open_source
from cbir.ingest.sources.source import Item
from cbir.model.bundle import Bundle, read_bundle
from cbir.model.encoder import Encoder

BATCH = 256

#: What is timed: returns how many pictures it took.
Stage = Callable[[], int]


def listed(folder: Path) -> list[Item]:
    return list(open_source(str(folder)).items())


def listing(folder: Path, model: Path, most: int) -> Stage:  # noqa: ARG001
    return lambda: sum(1 for _ in open_source(str(folder)).items())


def reading(folder: Path, model: Path, most: int) -> Stage:  # noqa: ARG001
    """Read files, and hash them."""
    items = listed(folder)[:most]

    def read(item: Item) -> str:
        return hashlib.sha256(item.content()).hexdigest() if item.content else ""

    def run() -> int:
        with closing(ordered_map(read, items)) as hashes:
            return sum(1 for _ in hashes)

    return run


def decoding(folder: Path, model: Path, most: int) -> Stage:
    """Make the encoder's input of files in memory; some are read once, and decoded again and again."""
    items = [in_memory(item) for item in listed(folder)[: min(most, 400)]]
    inputs = Inputs.only(read_bundle(model).preprocessing)

    def run(count: int = most) -> int:
        again = ((number, items[number % len(items)]) for number in range(count))
        with closing(open_items(again, inputs)) as opened:
            return sum(1 for _ in opened)

    run(64)  # the processes start
    return run


def encoding(folder: Path, model: Path, most: int) -> Stage:
    encoder = read_bundle(model).encoder()
    pixels = some_pixels(folder, encoder)
    encoder.encode(pixels[:8])

    def run() -> int:
        rounds = -(-most // len(pixels))
        for _ in range(rounds):
            encoder.encode(pixels)
        return rounds * len(pixels)

    return run


def storing(folder: Path, model: Path, most: int) -> Stage:
    """Upsert points as an ingest does."""
    bundle = read_bundle(model)
    items = listed(folder)[:most]
    vectors = np.random.default_rng(0).standard_normal((len(items), bundle.dimension)).astype(np.float32)

    def run() -> int:
        with (
            tempfile.TemporaryDirectory() as home,
            closing(EmbeddedEngine(Path(home)).create("points", metadata(bundle, bundle.dimension))) as collection,
        ):
            for first in range(0, len(items), BATCH):
                upsert(collection, items[first : first + BATCH], vectors[first : first + BATCH], first)
            return len(items)

    return run


def in_memory(item: Item) -> Item:
    content = item.content() if item.content else b""
    return replace(item, content=partial(bytes, content))


def some_pixels(folder: Path, encoder: Encoder) -> np.ndarray:
    preprocessing = encoder.preprocessing
    items = enumerate(islice(open_source(str(folder)).items(), BATCH))
    with closing(open_items(items, Inputs.only(preprocessing))) as opened:
        pixels = [found.pixels(preprocessing) for _, _, found in opened if found is not None]
    return np.stack([each for each in pixels if each is not None])


def metadata(bundle: Bundle, dimension: int) -> Metadata:
    shape, now = bundle.preprocessing.shape, datetime.now(UTC).isoformat()
    return Metadata(bundle.fingerprint, dimension, bundle.name, (), shape, "", now, now)


def upsert(collection: Collection, items: Sequence[Item], vectors: np.ndarray, first: int) -> None:
    """Store points with the payloads that an ingest gives them."""
    details = {"width": 160, "height": 120, "format": "JPEG"}
    hashes = [f"{number:064x}" for number in range(first, first + len(items))]
    payloads = [new_payload(item, sha256, details) for item, sha256 in zip(items, hashes, strict=True)]
    collection.upsert([content_id(sha256) for sha256 in hashes], vectors, payloads)


STAGES: dict[str, Callable[[Path, Path, int], Stage]] = {
    "list": listing,
    "read and hash": reading,
    "decode": decoding,
    "encode": encoding,
    "upsert": storing,
}


if __name__ == "__main__":
    stage, folder, model, most = sys.argv[1:]
    run = STAGES[stage](Path(folder), Path(model), int(most))
    start, before = time.perf_counter(), family_cpu()
    count = run()
    print(json.dumps([count, time.perf_counter() - start, family_cpu() - before]))
