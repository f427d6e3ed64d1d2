"""Ingest without training: 60,000 images into a fresh collection, as a whole process.

`python -m benchmarks ingest`. Aim: encode + upsert in at most 10 s on two idle
cores, peak memory of the process at most 1 GB.
"""

import json
from statistics import median

from benchmarks.setting import home, mnist, show, timed, trained

ROUNDS = 3


def main() -> None:
    """Print seconds and peak memory."""
    mnist()
    bundle = trained() / "models" / "mnist"
    rows, encode, upsert, wall, peak = [], [], [], [], 0
    for number in range(ROUNDS):
        with home():
            done = timed(["-m", "cbir", "ingest", "mnist", "--model", str(bundle), "--json"])
        seconds = json.loads(done.output)["seconds"]
        encode.append(seconds["encode"])
        upsert.append(seconds["upsert"])
        wall.append(done.seconds)
        peak = max(peak, done.peak)
        rows.append([f"round {number + 1}", *(f"{s:.1f}" for s in (encode[-1], upsert[-1], wall[-1])), ""])
    both = median(a + b for a, b in zip(encode, upsert, strict=True))
    rows.append(["median", f"{median(encode):.1f}", f"{median(upsert):.1f}", f"{median(wall):.1f}", ""])
    rows.append(["encode + upsert", f"{both:.1f}", "", "", f"{peak / 1e6:.0f}"])
    show("Ingest of 60,000 images, model given", ["", "encode s", "upsert s", "process s", "peak MB"], rows)


if __name__ == "__main__":
    main()
