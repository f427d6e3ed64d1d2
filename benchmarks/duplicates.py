"""Duplicates: how many edited copies are grouped with their originals, and how many other pictures by mistake.

`python -m benchmarks duplicates`, on 500 photographs (`photos.zip` in the folder
that CBIR_DATA names): 150 of them with two edited copies each, all twelve ways of
`cbir.model.distortion.COPIES` in turn; 100 others with two shots of a made burst each, in
which the camera moves by a hundredth of the picture, things by a few, and the near
before the far. Then 100,000 made features, of which 1,000 are near another: candidates only.

Aims: precision 0.98 of the pairs of pictures that are grouped, recall 0.95; of the bursts
2% grouped by mistake. A search for candidates of 100,000 points: minutes.
"""

import itertools
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.setting import home, last_json, show, timed, unpacked
from cbir.model.distortion import COPIES, workable

COPIED, SHOT, SEED = 150, 100, 5
POINTS, DIMENSION, NEAR = 100_000, 256, 1000

#: Makes a collection of random features, and looks for candidates: a process of its own, for its peak memory.
CANDIDATES = """
import json, sys, time, numpy as np
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.metadata import Metadata
from cbir.search.duplicates.candidates import candidates
from pathlib import Path
from typing import Any
place, points, dimension, near = Path(sys.argv[1]), *map(int, sys.argv[2:])
generator = np.random.default_rng(0)
vectors = generator.standard_normal((points, dimension), np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
vectors[:near] = vectors[near : 2 * near] + 0.01 * generator.standard_normal((near, dimension), np.float32)
from cbir.collection.point import point_id
metadata = Metadata("0", dimension, "none", ("made",), (1, 1, 1), "0", "2026", "2026")
collection = EmbeddedEngine(place).create("made", metadata)
for start in range(0, points, 5000):
    rows = range(start, min(points, start + 5000))
    payloads = [{"source": "made", "uri": f"made:{row}"} for row in rows]
    collection.upsert([point_id("made", f"made:{row}") for row in rows], vectors[rows], payloads)
if collection.index_pays():
    collection.build_index()
start = time.perf_counter()
found = candidates(collection, 0.5, 10)
print(json.dumps([len(found), time.perf_counter() - start, collection.info().indexed]))
collection.close()
"""


def main() -> None:
    photographs = sorted(unpacked("photos").rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as made, home():
        folder = Path(made, "photographs")
        groups, bursts = fill(folder, photographs)
        timed(["-m", "cbir", "ingest", str(folder), "--labels", "none"])
        done = timed(["-m", "cbir", "duplicates", "--json"])

        show("duplicates among photographs", *scored(json.loads(done.output), groups, bursts))
        show(
            "cost",
            ("seconds", "CPU seconds", "peak memory"),
            [(f"{done.seconds:.0f}", f"{done.cpu:.0f}", f"{done.peak / 1e6:.0f} MB")],
        )
        made_points = timed(["-c", CANDIDATES, str(Path(made, "points")), str(POINTS), str(DIMENSION), str(NEAR)])
        found, took, indexed = last_json(made_points.output)
        rows = [
            (f"{POINTS:,}", f"{indexed:,}", f"{found:,} of {NEAR:,}", f"{took:.1f}", f"{made_points.peak / 1e6:.0f} MB")
        ]
        show("candidates of made features", ("points", "indexed", "found", "seconds", "peak memory"), rows)


def fill(folder: Path, photographs: list[Path]) -> tuple[list[list[str]], list[list[str]]]:
    """Write photographs, copies and bursts; return the names of each group of copies, and of each burst."""
    generator = np.random.default_rng(SEED)
    order = [photographs[row] for row in generator.permutation(len(photographs))]
    folder.mkdir()
    for path in photographs:
        (folder / path.name).write_bytes(path.read_bytes())
    groups, bursts = [], []
    for number, path in enumerate(order[:COPIED]):
        names = [path.name]
        for part in range(2):
            _, way = COPIES[(2 * number + part) % len(COPIES)]
            copy = way(workable(Image.open(path)), np.random.default_rng([number, part]))
            names.append(f"{path.stem} {part} {way}.jpg")
            copy.save(folder / names[-1], quality=85)
        groups.append(names)
    for path in order[COPIED : COPIED + SHOT]:
        names = [path.name, *(f"{path.stem} shot {part}.jpg" for part in range(2))]
        for name in names[1:]:
            another_shot(Image.open(path).convert("RGB"), generator).save(folder / name, quality=90)
        bursts.append(names)
    return groups, bursts


def another_shot(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Make of a photograph the next one of a burst."""
    import cv2

    pixels = np.asarray(picture, np.float32)
    height, width = pixels.shape[:2]
    longest = max(height, width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    depth = cv2.GaussianBlur(generator.standard_normal((height, width)), (0, 0), longest / 12)
    depth *= 0.004 * longest / np.abs(depth).max()
    way, turn = generator.uniform(0, 2 * np.pi), np.deg2rad(generator.normal(0, 0.7))
    across, down = x + depth * np.cos(way) - width / 2, y + depth * np.sin(way) - height / 2
    size, moved = 1 + generator.normal(0, 0.006), generator.normal(0, 0.012 * longest, 2)
    from_x = width / 2 + size * (np.cos(turn) * across - np.sin(turn) * down) + moved[0]
    from_y = height / 2 + size * (np.sin(turn) * across + np.cos(turn) * down) + moved[1]
    # Something moves, as wide as 8% to 20% of the picture, by 2% to 6%.
    middle, radius = generator.uniform(0.25, 0.75, 2) * (width, height), generator.uniform(0.08, 0.2) * longest
    thing = np.exp(-((((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / radius**2) ** 3))
    far, way = generator.uniform(0.02, 0.06) * longest, generator.uniform(0, 2 * np.pi)
    from_x, from_y = from_x + thing * far * np.cos(way), from_y + thing * far * np.sin(way)
    places = from_x.astype(np.float32), from_y.astype(np.float32)
    shot = cv2.remap(pixels, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    shot = shot * (1 + generator.normal(0, 0.05)) + generator.normal(0, 3, shot.shape)
    return Image.fromarray(shot.clip(0, 255).astype(np.uint8))


def scored(
    document: dict[str, Any], groups: list[list[str]], bursts: list[list[str]]
) -> tuple[tuple[str, str], list[tuple[str, str]]]:
    """Return columns and rows: pairs that are grouped, and the share of each way to edit."""
    found = pairs(
        [[group["keep"]["uri"], *(other["uri"] for other in group["others"])] for group in document["groups"]]
    )
    alike = pairs([[member["uri"] for member in members] for members in document["alike"]])
    true, shots = pairs(groups), pairs(bursts)
    rows = [
        ("pairs grouped", f"{len(found):,}"),
        ("precision", f"{len(found & true) / max(1, len(found)):.3f}"),
        ("recall", f"{len(found & true) / len(true):.3f}"),
        ("bursts: pairs", f"{len(shots):,}"),
        ("bursts: alike", f"{len(alike & shots) / len(shots):.3f}"),
        ("bursts: grouped by mistake", f"{len(found & shots) / len(shots):.3f}"),
        ("pairs compared", f"{document['compared']:,}"),
        ("distance", f"{document['threshold']['distance']:.3f}"),
    ]
    made: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    for original, *copies in groups:
        for copy in copies:
            way = copy.removesuffix(".jpg").rpartition(" ")[2]
            made[way] += 1
            reached[way] += frozenset((original, copy)) in found
    rows += [(f"copies: {way}", f"{reached[way]} of {made[way]}") for way in made]
    return ("", ""), rows


def pairs(groups: list[list[str]]) -> set[frozenset[str]]:
    return {frozenset(pair) for group in groups for pair in itertools.combinations(group, 2)}
