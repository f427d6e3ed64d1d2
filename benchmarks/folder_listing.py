"""Many entries listed, and compared with as many stored: `python -m benchmarks.folder_listing STAGE FOLDER MODEL`.

Prints the number of entries and the seconds as JSON. The collection is made of what a listing says, without a picture
being read, and is kept beside the folder.
"""

import json
import sys
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.folder_stages import metadata, upsert
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.ingest.places import Places
from cbir.ingest.sources.catalogue import open_source
from cbir.ingest.sources.source import Source
from cbir.ingest.sync import Status, compare
from cbir.model.bundle import read_bundle

#: Points upserted at once; values of a vector, which are not looked at.
BATCH, DIMENSION = 4096, 4


def main(stage: str, folder: Path, model: Path) -> tuple[int, float, float]:
    """Return the number of entries, seconds, and processor seconds."""
    start, before = time.perf_counter(), time.process_time()
    source = open_source(str(folder))
    if stage == "list":
        count = sum(1 for _ in source.items())
        return count, time.perf_counter() - start, time.process_time() - before
    engine = EmbeddedEngine(folder.with_name(f"{folder.name}.collections"))
    if stage == "store":
        fill(engine, source, model)
        return len(source), time.perf_counter() - start, time.process_time() - before
    with closing(engine.open("entries")) as collection:
        start, before = time.perf_counter(), time.process_time()
        with Places.of(collection) as places:
            statuses = compare(source.items(), places, total=len(source))
        seconds, cpu = time.perf_counter() - start, time.process_time() - before
    if statuses.count(Status.UNCHANGED) != len(source):
        sys.exit(f"{statuses.count(Status.UNCHANGED):,} of {len(source):,} entries are as they are stored")
    return len(statuses), seconds, cpu


def fill(engine: EmbeddedEngine, source: Source, model: Path) -> None:
    if "entries" in engine.names():
        if engine_count(engine) == len(source):
            return
        engine.delete("entries")
    with closing(engine.create("entries", metadata(read_bundle(model), DIMENSION))) as collection:
        items, first = iter(source.items()), 0
        while batch := list(islice(items, BATCH)):
            upsert(collection, batch, np.zeros((len(batch), DIMENSION), np.float32), first)
            first += len(batch)


def engine_count(engine: EmbeddedEngine) -> int:
    with closing(engine.open("entries")) as collection:
        return collection.count()


if __name__ == "__main__":
    stage, folder, model = sys.argv[1:]
    print(json.dumps(main(stage, Path(folder), Path(model))))
