"""Search of 60,000 points, cold and warm, beside the article's way.

`python -m benchmarks search`. Cold: a whole process for one query. Warm: one
more query in a process that has everything loaded. The article's way loads the
Keras model, predicts, and takes one `np.linalg.norm` per stored code.
Aims: cold at most 0.7 s and ten times faster; warm at most 10 ms and forty times.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import cbir
from benchmarks.setting import home, last_json, mnist, show, timed, trained
from cbir.search.searcher import Searcher

COLD_ROUNDS, WARM_ROUNDS = 7, 200

ARTICLE = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
from PIL import Image
model, codes_path, picture, rounds = sys.argv[1:]
autoencoder = keras.saving.load_model(model)
encoder = keras.Model(autoencoder.input, autoencoder.get_layer("encoder").output)
codes = np.load(codes_path)
def search():
    pixels = np.asarray(Image.open(picture).convert("L"), np.float32)[None, ..., None] / 255
    code = encoder.predict(pixels, verbose=0).reshape(-1)
    distances = np.array([np.linalg.norm(stored - code) for stored in codes])
    return np.argsort(distances)[:10]
found = search()
times = []
for _ in range(int(rounds)):
    start = time.perf_counter()
    search()
    times.append(time.perf_counter() - start)
print(json.dumps({"found": found.tolist(), "warm": times}))
"""


def main() -> None:
    """Print both ways, cold and warm, and the ratios."""
    source = mnist()
    place = trained()
    with tempfile.TemporaryDirectory() as folder, home(place.name):
        picture = Path(folder) / "digit.png"
        source.queries()[4].open().save(picture)
        with cbir.open("mnist") as searcher:
            codes, rows = stored_codes(searcher)
            np.save(Path(folder) / "codes.npy", codes)
            warm = warm_seconds(searcher, picture)
            ours = [hit.payload["index"] for hit in searcher.search(picture, exact=True)]
        article = [str(place / "models/mnist/autoencoder.keras"), str(Path(folder) / "codes.npy"), str(picture)]
        cold, cold_article = [], []
        command = ["-m", "cbir", "search", str(picture), "--collection", "mnist", "--json"]
        timed(command)
        for _ in range(COLD_ROUNDS):
            cold.append(timed(command).seconds)
            cold_article.append(timed(["-c", ARTICLE, *article, "0"]).seconds)
        answer = last_json(timed(["-c", ARTICLE, *article, "10"]).output)
        bare = [timed(["-c", "pass"]).seconds for _ in range(COLD_ROUNDS)]
    same = len(set(ours) & {rows[row] for row in answer["found"]})
    table = [
        ["cold, s (whole process)", *(f"{s:.2f}" for s in compared(cold, cold_article))],
        ["warm, ms (encode one, find 10)", *(f"{s:.1f}" for s in compared(warm, answer["warm"], scale=1000))],
        ["bare `python -c pass`, s", f"{median(bare):.2f}", "", ""],
        ["same images among the 10", f"{same}", "", ""],
    ]
    show("Search of 60,000 points, medians", ["", "cbir", "the article's way", "ratio"], table)


def compared(ours: list[float], theirs: list[float], scale: float = 1) -> tuple[float, float, float]:
    return scale * median(ours), scale * median(theirs), median(theirs) / median(ours)


def stored_codes(searcher: Searcher, field: str = "index") -> tuple[np.ndarray, list[Any]]:
    pages = list(searcher.collection.scroll())
    rows = [payload[field] for page in pages for payload in page.payloads]
    return np.concatenate([page.vectors for page in pages]), rows


def warm_seconds(searcher: Searcher, picture: Path) -> list[float]:
    searcher.search(picture)
    times = []
    for _ in range(WARM_ROUNDS):
        start = time.perf_counter()
        searcher.search(picture)
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
