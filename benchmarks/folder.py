"""A folder of pictures: how fast each stage of an ingest is, how fast the whole, and how much memory it takes.

`python -m benchmarks folder [PART ...] [--quick] [--again]`. Parts: `small`, 20,000 JPEGs of 160x120; `large`, 1,000
photographs of 12 megapixels; `photos`, the 500 photographs of `photos.zip` if a folder that CBIR_DATA names has it;
`memory`, 100,000 small ones beside 20,000; `listing`, a million entries listed and compared. About ten minutes on two
idle cores, 4 GB of disk; `--quick` takes a tenth of the pictures, and two minutes. Each part's numbers are kept in
bench-results/folder and shown again, so that it can be interrupted; `--again` measures anew.

Aims. The whole at least 0.9 of its slowest stage, in two of three runs; peak memory of 20,000 and of 100,000 within a
tenth, 1 GB at the most; a million entries in seconds.

A stage alone has all the cores; in the whole, the stages share them. So below the ratio to the slowest stage stands the
one to what the processors allow: cores divided by the processor time of all stages. On few cores, where two stages
take most of that time, the first cannot reach its aim, and the second says how well the stages overlap.
"""

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.folder_stages import STAGES
from benchmarks.setting import RESULTS, home, kept, last_json, show, timed, unpacked, with_children
from cbir.core.settings import read_settings
from cbir.core.workers import usable_cores

PLACE = RESULTS / "folder"
SMALL, LARGE, MANY, ENTRIES = 20_000, 1_000, 100_000, 1_000_000
#: Pictures that a stage is timed with, alone.
STAGE_SMALL, STAGE_LARGE = 4_000, 200
ROUNDS, AIM = 3, 0.9
#: Pictures that the model learns from, once; a decision by the clock would make runs differ.
LEARNED, ENCODER = 1_000, "photo:precision=int8"

Measured = dict[str, Any]


def main(arguments: Sequence[str] = ()) -> None:
    """Print a table for each part; all of them, or those named."""
    quick, again = "--quick" in arguments, "--again" in arguments
    parts = [each for each in arguments if not each.startswith("--")]
    share = 10 if quick else 1
    known: dict[str, tuple[Callable[[int], Measured], Callable[[Measured], None]]] = {
        "small": (measure_small, show_throughput),
        "large": (measure_large, show_throughput),
        "photos": (measure_photos, show_throughput),
        "memory": (measure_memory, show_memory),
        "listing": (measure_listing, show_listing),
    }
    wrong = [each for each in parts if each not in known]
    wrong += [each for each in arguments if each.startswith("--") and each not in ("--quick", "--again")]
    if wrong:
        sys.exit(f"no {', '.join(wrong)} in folder; there are {', '.join(known)}, --quick and --again")
    for part in parts or known:
        measure, shown = known[part]
        if part == "photos" and not has_photos():
            print("photos: left out, as CBIR_DATA names no folder with photos.zip")
            continue
        shown(kept(PLACE / f"{part}{'-quick' if quick else ''}.json", partial(measure, share), again=again))


def made(kind: str, count: int) -> Path:
    """Return a folder of so many made files, in PLACE."""
    folder = PLACE / f"{kind}-{count}"
    timed(["-m", "benchmarks.folder_pictures", kind, str(folder), str(count)])
    return folder


def model() -> Path:
    """Return the model that all runs encode with, learned once."""
    with home("folder/home") as place:
        found = place / "models" / "learned"
        if not found.exists():
            pictures = made("small", LEARNED)
            timed(["-m", "cbir", "ingest", str(pictures), "--collection", "learned", "--encoder", ENCODER])
        return found


def measure_small(share: int) -> Measured:
    count = SMALL // share
    return throughput(f"{count:,} JPEGs of 160x120", made("small", count), count, STAGE_SMALL // share)


def measure_large(share: int) -> Measured:
    count = LARGE // share
    return throughput(f"{count:,} JPEGs of 12 megapixels", made("large", count), count, max(40, STAGE_LARGE // share))


def measure_photos(share: int) -> Measured:  # noqa: ARG001 - there are 500
    return throughput("500 photographs of at most 320 pixels", unpacked("photos") / "photos", 500, 500)


def has_photos() -> bool:
    return any((folder / "photos.zip").is_file() for folder in read_settings().data)


def throughput(title: str, folder: Path, count: int, most: int) -> Measured:
    """Time each stage alone, and the whole until it is clear whether two of three runs reach the aim."""
    bundle = model()
    stages: dict[str, tuple[float, float]] = {}
    for stage in STAGES:
        done = timed(["-m", "benchmarks.folder_stages", stage, str(folder), str(bundle), str(most)])
        pictures, seconds, cpu = last_json(done.output)
        stages[stage] = pictures / seconds, cpu / pictures
    slowest = min(speed for speed, _ in stages.values())
    runs: list[dict[str, float]] = []
    while len(runs) < 2 or (len(runs) < ROUNDS and len({run["speed"] >= AIM * slowest for run in runs}) == 2):
        runs.append(whole(folder, bundle, count))
    return {"title": title, "cores": usable_cores(), "stages": stages, "runs": runs}


def whole(folder: Path, bundle: Path, count: int) -> dict[str, float]:
    """Ingest into a fresh collection, as a whole process; the time that starting takes is part of it."""
    with home():
        command = ["-m", "cbir", "ingest", str(folder), "--collection", "whole", "--model", str(bundle), "--json"]
        done = timed(command, watch=with_children)
    stored = json.loads(done.output)["ingested"]
    if stored != count:
        sys.exit(f"{stored} of {count} pictures of {folder} were ingested")
    return {
        "speed": count / done.seconds,
        "cpu": done.cpu / count,
        "busy": done.cpu / done.seconds / usable_cores(),
        "peak": done.peak,
        "peak_with_children": done.watched_peak,
    }


def show_throughput(measured: Measured) -> None:
    stages = measured["stages"]
    slowest = min(speed for speed, _ in stages.values())
    allowed = measured["cores"] / sum(cpu for _, cpu in stages.values())
    rows = [[f"{stage}, alone", f"{speed:,.0f}", f"{1000 * cpu:.2f}", "", ""] for stage, (speed, cpu) in stages.items()]
    for number, run in enumerate(measured["runs"], 1):
        peak = f"{run['peak'] / 1e6:.0f}; {run['peak_with_children'] / 1e6:.0f}"
        speed, cpu = run["speed"], run["cpu"]
        rows.append([f"the whole, run {number}", f"{speed:,.0f}", f"{1000 * cpu:.2f}", f"{run['busy']:.0%}", peak])
        rows.append(["  of the slowest stage", f"{speed / slowest:.2f}", "", "", ""])
        rows.append([f"  of {allowed:,.0f}, which cores allow", f"{speed / allowed:.2f}", "", "", ""])
    columns = ["", "pictures/s", "processor ms", "of cores", "peak MB: largest process; all"]
    show(measured["title"], columns, rows)


def measure_memory(share: int) -> Measured:
    """Ingest from nothing, what an encoder learns included."""
    peaks: Measured = {}
    for count in (SMALL // share, MANY // share):
        pictures = made("small", count)
        with home():
            done = timed(
                ["-m", "cbir", "ingest", str(pictures), "--encoder", ENCODER, "--no-index", "--json"],
                watch=with_children,
            )
        peaks[str(count)] = [done.peak, done.watched_peak, done.seconds]
    return peaks


def show_memory(measured: Measured) -> None:
    rows = [
        [f"{int(count):,}", f"{peak / 1e6:.0f}", f"{together / 1e6:.0f}", f"{seconds:.0f}"]
        for count, (peak, together, seconds) in measured.items()
    ]
    (first, *_), (second, *_) = measured.values()
    rows.append(["ratio", f"{second / first:.2f}", "", ""])
    show("Peak memory, from nothing, photo", ["pictures", "largest process, MB", "all processes, MB", "seconds"], rows)


def measure_listing(share: int) -> Measured:
    tree = made("empty", ENTRIES // share)
    found: Measured = {}
    timed(["-m", "benchmarks.folder_listing", "store", str(tree), str(model())])
    for stage in ("list", "compare"):
        done = timed(["-m", "benchmarks.folder_listing", stage, str(tree), str(model())])
        entries, seconds, cpu = last_json(done.output)
        found[stage] = [entries, seconds, cpu, done.peak]
    return found


def show_listing(measured: Measured) -> None:
    rows = [
        [stage, f"{entries:,}", f"{seconds:.1f}", f"{cpu:.1f}", f"{peak / 1e6:.0f}"]
        for stage, (entries, seconds, cpu, peak) in measured.items()
    ]
    show("A tree of empty files", ["", "entries", "seconds", "processor s", "peak MB"], rows)


if __name__ == "__main__":
    main(sys.argv[1:])
