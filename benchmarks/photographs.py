"""Photographs: whether edited copies find their originals, whether likes find likes, seconds and memory.

`python -m benchmarks photographs [PART ...]`, on 500 photographs and the small
CIFAR-10 (`photos.zip`, `cifar10-mini.zip` in the folder that CBIR_DATA names).
All parts but `earlier`, which trains for minutes. Every ingest, search and
evaluation is a process of its own, as users start it.

Aims. Copies, `photo` by default: 0.97 in each row, 0.99 in the mean. Dogs: what
the bare network gives; reported, never tuned to. CIFAR-10: mAP 0.43 and
precision@1 0.70. Ingest: 1.5 times what the encoder takes on pictures in memory.
Search: cold 0.6 s, warm 15 ms. Peak memory of each process: 1 GB.
"""

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import cbir
from benchmarks.search import stored_codes, warm_seconds
from benchmarks.setting import Timed, home, last_json, show, timed, unpacked
from cbir.evaluate.ranking import rank
from cbir.search.searcher import Searcher

#: What is ingested where nothing is named; the others are named.
DEFAULT, EARLIER = "photo", "contrastive"
PLAIN = "photo:adapt=off"
#: What `adapt=auto`, the default, decides between, beside it.
LIKENESS = (DEFAULT, "photo:adapt=on", PLAIN)
COPIES = (*LIKENESS, "pixels", "sift", "color-histogram")
PICTURES_EDITED, SEED = 150, 0
#: ImageNet's numbers of kinds of dogs, as the file names have them.
DOGS = ("n02085620", "n02113978")
CLOSEST = 10
INGEST_ROUNDS, COLD_ROUNDS = 3, 7

#: What an encoder sees of a folder's pictures, as one array.
PIXELS = """
import sys, numpy as np
from pathlib import Path
from PIL import Image
from cbir.model.bundle import read_bundle
folder, model, out = map(Path, sys.argv[1:])
see = read_bundle(model).preprocessing.pixels
np.save(out, np.stack([see(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.jpg"))]))
"""

ENCODER_ALONE = """
import json, sys, time, numpy as np
from pathlib import Path
from cbir.model.bundle import read_bundle
model, pixels = sys.argv[1:]
pixels = np.load(pixels)
encoder = read_bundle(Path(model)).encoder()
encoder.encode(pixels[:8])
start, cpu = time.perf_counter(), time.process_time()
encoder.encode(pixels)
print(json.dumps([time.perf_counter() - start, time.process_time() - cpu]))
"""

BARE_NETWORK = """
import sys, numpy as np
from cbir.model.graph import graph_of
from cbir.model.pretrained.efficientnet import network
pixels, out = sys.argv[1:]
pixels = np.load(pixels)
run = graph_of(network("float").SerializeToString(), "the network", threads=0)
raw = np.concatenate([run(pixels[start : start + 8]) for start in range(0, len(pixels), 8)])
np.save(out, raw / np.linalg.norm(raw, axis=1, keepdims=True))
"""


@dataclass(frozen=True)
class Filled:
    """A collection, what `cbir ingest --json` said of it, and its process."""

    name: str
    encoder: str
    report: dict[str, Any]
    process: Timed

    @property
    def model(self) -> str:
        """The path of its model bundle."""
        return str(self.report["model"]["path"])

    @property
    def row(self) -> list[str]:
        """Seconds and peak memory, for a table."""
        seconds = self.report["seconds"]
        return [
            f"{seconds['train']:.1f}",
            f"{seconds['encode'] + seconds['upsert']:.1f}",
            f"{self.process.seconds:.1f}",
            f"{self.process.cpu:.1f}",
            f"{self.process.peak / 1e6:.0f}",
        ]


#: Headings of `Filled.row`.
COSTS = ("learn s", "store s", "process s", "CPU s", "peak MB")


def main(parts: Sequence[str] = ()) -> None:
    """Print a table for each part; all parts but `earlier`, or those named."""
    known: dict[str, Callable[[], None]] = {
        "ingest": ingest,
        "search": search,
        "copies": copies,
        "dogs": dogs,
        "cifar10-mini": cifar,
        "earlier": earlier,
    }
    if missing := [part for part in parts if part not in known]:
        sys.exit(f"no part {', '.join(missing)} of photographs; there are {', '.join(known)}")
    for part in parts or [part for part in known if part != "earlier"]:
        print(f"photographs: {part}", file=sys.stderr, flush=True)
        with home():
            known[part]()


def photographs() -> Path:
    """Return the folder of the 500 photographs."""
    return unpacked("photos") / "photos"


def filled(source: Path, encoder: str) -> Filled:
    """Ingest a folder from nothing, in a process; the default encoder is not named."""
    name = re.sub(r"\W+", "-", f"{source.name}-{encoder}")
    named = [] if encoder == DEFAULT else ["--encoder", encoder]
    done = timed(["-m", "cbir", "ingest", str(source), "--collection", name, *named, "--json"])
    report = json.loads(done.output)
    if (kind := report["model"]["encoder"]) != encoder.partition(":")[0]:
        sys.exit(f"{source} was ingested by {kind}, not by {encoder}")
    return Filled(name, encoder, report, done)


def evaluated(collection: str, *options: str) -> dict[str, Any]:
    """Evaluate a collection in a process."""
    document: dict[str, Any] = json.loads(
        timed(["-m", "cbir", "evaluate", "--collection", collection, *options, "--json"]).output
    )
    return document


def show_notes(collections: Sequence[Filled]) -> None:
    """Print what each ingest said of the encoder that it chose."""
    for each in collections:
        for note in each.report["model"]["notes"]:
            print(f"{each.name}: {note}")


def ingest() -> None:
    """500 photographs from nothing, beside what the encoder takes on the same pictures in memory."""
    folder = photographs()
    costs: dict[str, list[Filled]] = {encoder: [] for encoder in (DEFAULT, PLAIN)}
    alone: dict[str, list[tuple[float, float]]] = {encoder: [] for encoder in (DEFAULT, PLAIN)}
    with tempfile.TemporaryDirectory() as place:
        for _ in range(INGEST_ROUNDS):
            for encoder in (DEFAULT, PLAIN):
                with home():
                    costs[encoder].append(filled(folder, encoder))
                    pixels = Path(place) / "pixels.npy"
                    if not pixels.exists():
                        timed(["-c", PIXELS, str(folder), costs[encoder][0].model, str(pixels)])
                    done = timed(["-c", ENCODER_ALONE, costs[encoder][-1].model, str(pixels)])
                    alone[encoder].append(last_json(done.output))
    rows = []
    for encoder in (DEFAULT, PLAIN):
        rows += [[f"{encoder}, round {n}", *each.row] for n, each in enumerate(costs[encoder], 1)]
        wall = median(each.process.seconds for each in costs[encoder]), median(each[0] for each in alone[encoder])
        cpu = median(each.process.cpu for each in costs[encoder]), median(each[1] for each in alone[encoder])
        ways = zip(("median", "the encoder alone, in memory"), wall, cpu, strict=True)
        rows += [[way, "", "", f"{seconds:.1f}", f"{used:.1f}", ""] for way, seconds, used in ways]
        rows.append(["process / encoder", "", "", f"{wall[0] / wall[1]:.2f}", f"{cpu[0] / cpu[1]:.2f}", ""])
    show("Ingest of 500 photographs, from nothing", ["", *COSTS], rows)
    show_notes([costs[encoder][0] for encoder in (DEFAULT, PLAIN)])


def earlier() -> None:
    """500 photographs by the default of earlier days, which trains for minutes, beside today's."""
    both = [filled(photographs(), encoder) for encoder in (DEFAULT, EARLIER)]
    ours = both[0].process.seconds
    rows = [
        [encoder, *each.row, f"{each.process.seconds / ours:.1f}"]
        for encoder, each in zip((DEFAULT, EARLIER), both, strict=True)
    ]
    show("Ingest of 500 photographs, from nothing", ["", *COSTS, f"of {DEFAULT}"], rows)


def search() -> None:
    """One photograph searched for among 500, cold and warm, beside the encoder's own share."""
    folder = photographs()
    collection = filled(folder, DEFAULT).name
    picture = sorted(folder.glob("*.jpg"))[4]
    command = ["-m", "cbir", "search", str(picture), "--collection", collection, "--json"]
    timed(command)
    cold = [timed(command) for _ in range(COLD_ROUNDS)]
    bare = [timed(["-c", "pass"]).seconds for _ in range(COLD_ROUNDS)]
    with cbir.open(collection) as searcher:
        warm = warm_seconds(searcher, picture)
        encoding = encoding_seconds(searcher, picture, len(warm))
    rows = [
        ["cold, s (whole process)", f"{median(done.seconds for done in cold):.2f}"],
        ["bare `python -c pass`, s", f"{median(bare):.2f}"],
        ["warm, ms (open, encode one, find 10)", f"{1000 * median(warm):.1f}"],
        ["of that the encoder, ms (one in memory)", f"{1000 * median(encoding):.1f}"],
        ["cold, peak MB", f"{max(done.peak for done in cold) / 1e6:.0f}"],
    ]
    show("Search of 500 photographs, medians", ["", DEFAULT], rows)


def encoding_seconds(searcher: Searcher, picture: Path, rounds: int) -> list[float]:
    pixels = searcher.pixels(picture)[None]
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        searcher.encoder.encode(pixels)
        times.append(time.perf_counter() - start)
    return times


def copies() -> None:
    """Print the share of edited copies whose original comes first, and what the ingests took."""
    collections = [filled(photographs(), encoder) for encoder in COPIES]
    headings, rows = copies_table(collections)
    show(f"Edited copies of {PICTURES_EDITED} among 500 photographs: original first", headings, rows)
    show("Their ingests", ["", *COSTS], [[e, *each.row] for e, each in zip(COPIES, collections, strict=True)])
    show_notes(collections)


def copies_table(collections: Sequence[Filled]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows: an edit a row, and their mean; a collection of photographs a column."""
    options = ("--copies", "--queries", str(PICTURES_EDITED), "--seed", str(SEED))
    found = [evaluated(each.name, *options)["copies"] for each in collections]
    rows = [
        [same[0]["edit"], *(f"{row['first']:.3f}" for row in same)]
        for same in zip(*(each["rows"] for each in found), strict=True)
    ]
    rows.append(["mean", *(f"{each['mean']['first']:.3f}" for each in found)])
    return ["original first", *(each.encoder for each in collections)], rows


def dogs() -> None:
    """Dogs among a dog's ten closest."""
    folder = photographs()
    collections = [filled(folder, encoder) for encoder in LIKENESS]
    names = sorted(path.name for path in folder.glob("*.jpg"))
    with tempfile.TemporaryDirectory() as place:
        pixels, features = Path(place) / "pixels.npy", Path(place) / "features.npy"
        timed(["-c", PIXELS, str(folder), collections[0].model, str(pixels)])
        timed(["-c", BARE_NETWORK, str(pixels), str(features)])
        shares = {"the bare network, 1280 values": dogs_among(names, np.load(features))}
    for encoder, each in zip(LIKENESS, collections, strict=True):
        with cbir.open(each.name) as searcher:
            stored, uris = stored_codes(searcher, "uri")
        shares[encoder] = dogs_among([Path(uri).name for uri in uris], stored)
    rows = [[name, f"{share:.3f}"] for name, share in shares.items()]
    rows.append(["of all pictures", f"{sum(map(is_dog, names)) / len(names):.3f}"])
    show("Dogs among a dog's ten closest", ["", "share"], rows)


def dogs_among(names: Sequence[str], features: np.ndarray) -> float:
    """Return the share of dogs among the closest of each dog, itself left out."""
    dog = np.array([is_dog(name) for name in names])
    rows = np.flatnonzero(dog)
    blocks = rank(features[rows], features, list(rows[:, None]))
    return float(np.mean([dog[block.order[:, :CLOSEST]].mean() for block in blocks]))


def is_dog(name: str) -> bool:
    return DOGS[0] <= name[: len(DOGS[0])] <= DOGS[1]


def cifar() -> None:
    """Scores by labels that no encoder has seen, and what learning took."""
    rows, collections = [], []
    for encoder in LIKENESS:
        collection = filled(unpacked("cifar10-mini"), encoder)
        scores = evaluated(collection.name, "--no-copies", "--depth", "10")
        values = scores["map"], scores["precision_at"]["1"], scores["lrap"]["10"]
        rows.append([encoder, *(f"{value:.3f}" for value in values), *collection.row])
        collections.append(collection)
    show("CIFAR-10, 5,000 pictures of 32x32, 500 queries", ["", "mAP", "precision@1", "LRAP@10", *COSTS], rows)
    show_notes(collections)


if __name__ == "__main__":
    main(sys.argv[1:])
