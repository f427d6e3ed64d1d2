"""How fast pictures become features: on one core, on two in one process, and in two processes of a core each.

`python -m benchmarks.scale_pictures FOLDER MODEL COUNT CORE ...` is such a process: on these cores alone it decodes and
encodes so many pictures of a folder, the same again where there are fewer, and prints what that took. Two processes are
what Ray's workers are: nothing is shared, and each has an encoder of its own.
"""

import json
import os
import sys

if __name__ == "__main__":  # before anything asks how many cores there are
    os.sched_setaffinity(0, {int(core) for core in sys.argv[4:]})

import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks.folder import made, model
from benchmarks.folder_stages import in_memory, listed
from benchmarks.setting import RESULTS, Watched, family_cpu, kept, last_json, show, unpacked
from cbir.ingest.decode import Inputs, open_items
from cbir.model.bundle import read_bundle

#: The cores of each process.
WAYS = {"one process, one core": [[0]], "one process, two cores": [[0, 1]], "two processes, a core each": [[0], [1]]}
#: Pictures of each kind that are encoded, few and many.
PHOTOGRAPHS, LARGE = (100, 1_000, 10_000), (40, 200)
BATCH, HELD = 64, 500

Took = dict[str, float]


def main() -> None:
    """Print what was measured."""
    rows = []
    for kind, by_count in measured().items():
        for way in WAYS:
            (few, first), *_, (many, last) = [(int(count), took[way]) for count, took in by_count.items()]
            more = many - few  # without what starting takes
            rate, cpu = more / (last["seconds"] - first["seconds"]), (last["cpu"] - first["cpu"]) / more
            memory = f"{last['memory'] / 1e6:.0f} ({first['memory'] / 1e6:.0f})"
            rows.append([f"{kind}, {way}", f"{many:,}", f"{rate:.0f}", f"{1000 * cpu:.1f}", memory])
    columns = ["", "pictures", "a second", "processor ms a picture", "MB at most (with the fewest)"]
    show("Pictures decoded and encoded with photo", columns, rows)


def measured() -> dict[str, dict[str, dict[str, Took]]]:
    """Return what each kind and number of pictures takes in each way; what was measured before is kept."""
    kinds = {
        "photographs of 320 pixels": (PHOTOGRAPHS, lambda: unpacked("photos") / "photos"),
        "photographs of 12 megapixels": (LARGE, lambda: made("large", LARGE[0])),
    }
    found: dict[str, dict[str, dict[str, Took]]] = {}
    for kind, (counts, folder) in kinds.items():
        found[kind] = {}
        for count in counts:
            file = RESULTS / "scale" / f"{kind}, {count}.json"
            found[kind][str(count)] = kept(file, lambda count=count, folder=folder: by_way(folder(), count))  # type: ignore[misc]
    return found


def by_way(folder: Path, count: int) -> dict[str, Took]:
    return {way: of_processes(folder, count, cores) for way, cores in WAYS.items()}


def of_processes(folder: Path, count: int, cores: Sequence[Sequence[int]]) -> Took:
    """Return the seconds for so many pictures, those of processors, and the bytes of memory, in all processes."""
    command = ["-m", "benchmarks.scale_pictures", str(folder), str(model()), str(count // len(cores))]
    begin = time.perf_counter()
    running = [
        subprocess.Popen([sys.executable, *command, *map(str, each)], stdout=subprocess.PIPE, text=True)
        for each in cores
    ]
    told = [last_json(process.communicate()[0]) for process in running]
    seconds = time.perf_counter() - begin
    return {
        "seconds": seconds,
        "cpu": sum(each["cpu"] for each in told),
        "memory": sum(each["memory"] for each in told),
    }


def work(folder: Path, bundle: Path, count: int) -> Took:
    """Decode and encode pictures, whose files are in memory."""
    encoder = read_bundle(bundle).encoder()
    items = [in_memory(item) for item in listed(folder)[:HELD]]
    numbered = ((number, items[number % len(items)]) for number in range(count))
    pixels: list[np.ndarray] = []
    with Watched(os.getpid()) as watched, closing(open_items(numbered, Inputs.only(encoder.preprocessing))) as opened:
        for number, _, found in opened:
            made = None if found is None else found.pixels(encoder.preprocessing)
            assert made is not None
            pixels.append(made)
            if len(pixels) == BATCH or number == count - 1:
                encoder.encode(np.stack(pixels))
                pixels = []
        cpu = family_cpu()
    return {"cpu": cpu, "memory": watched.peak}


if __name__ == "__main__":
    print(json.dumps(work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
