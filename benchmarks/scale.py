"""What more pictures cost: measured up to a million, and reckoned from there to a billion.

`python -m benchmarks scale [embedded] [server] [files] [pictures] [figure] [POINTS ...] [DIMENSION]`: by default 1,000,
10,000, 100,000 and 1,000,000 points of 128 values.

- `embedded`: a collection is loaded, its index growing in steps, opened by another process, and searched;
- `server`: the same on a Qdrant server (`million_served`, which a `qdrant` executable on PATH is needed for);
- `files`: the same with the payloads that an ingest of files stores, and their indexes;
- `pictures`: pictures are decoded and encoded, in one process and in two (`scale_pictures`);
- `figure`: docs/images/scale.png is drawn of the other parts that are named, or of all.

What was measured is kept in bench-results/scale and bench-results/million-served, and not measured again, so that it
can be interrupted, and done for one size after another. The million takes four minutes of two idle cores embedded, ten
on a server, and twice that with files.

To each cost a sum of terms is fitted (a constant, n, n log n or log n, as it should grow; none negative), so that the
relative errors are least. How far that misses is told by leaving out the largest size, fitting the others, and asking
for the one that was left out.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from benchmarks import million_served, scale_pictures
from benchmarks.memory import file_payload
from benchmarks.million import made, measured
from benchmarks.million_engines import payloads
from benchmarks.setting import RESULTS, kept, show, whole

SIZES, DIMENSION = (1_000, 10_000, 100_000, 1_000_000), 128
RECKONED = (10_000_000, 100_000_000, 1_000_000_000)
_TERMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "1": np.ones_like,
    "n": np.asarray,
    "log n": np.log,
    "n log n": lambda n: n * np.log(n),
}
#: What is measured, how many of it are shown as one, and what it grows with.
Costs = Mapping[str, tuple[float, tuple[str, ...]]]
EMBEDDED: Costs = {
    "processor time to load and index, h": (3600.0, ("1", "n", "n log n")),
    "disk, GB": (1e9, ("1", "n")),
    "memory of the searching process, GB": (1e9, ("1", "n")),
    "warm search, ms": (1e-3, ("1", "log n")),
    "open and cold search, s": (1.0, ("1", "n")),
}
SERVED: Costs = {
    "the server's processor time to load, h": (3600.0, ("1", "n")),
    "the server's processor time to index, h": (3600.0, ("1", "n", "n log n")),
    "disk, GB": (1e9, ("1", "n")),
    "memory of its own, GB": (1e9, ("1", "n")),
    "memory with files, GB": (1e9, ("1", "n")),
    "warm search, p50, ms": (1e-3, ("1", "log n")),
}


def main(arguments: list[str] | None = None) -> None:
    """Print the costs of each size, what is fitted to them, and what that says of larger sizes; or some of these."""
    numbers = whole([each for each in arguments or () if each[0].isdigit()])
    dimension = next((each for each in numbers if each <= 256), DIMENSION)
    sizes = [each for each in numbers if each > 256] or list(SIZES)
    subjects: dict[str, tuple[Costs, Callable[[int, int], list[float]]]] = {
        "embedded": (EMBEDDED, embedded),
        "server": (SERVED, served),
        "files": (SERVED, partial(served, kind="-files")),
    }
    parts = [each for each in arguments or () if not each[0].isdigit()] or [*subjects, "pictures", "figure"]
    if unknown := [each for each in parts if each not in (*subjects, "pictures", "figure")]:
        sys.exit(f"no part {', '.join(unknown)} in scale")
    found = {}
    for part, (costs, of_size) in subjects.items():
        if part in parts or parts == ["figure"]:
            values = np.array([of_size(size, dimension) for size in sizes])
            found[part] = {name: (unit, terms, values[:, n]) for n, (name, (unit, terms)) in enumerate(costs.items())}
            show_costs(f"{part}: points of {dimension} values", sizes, found[part])
    if "pictures" in parts:
        scale_pictures.main()
    if "figure" in parts:
        from benchmarks import scale_figure  # needs matplotlib, which no other part does

        scale_figure.draw(sizes, found, fitted)


def show_costs(
    title: str, sizes: Sequence[int], costs: Mapping[str, tuple[float, tuple[str, ...], np.ndarray]]
) -> None:
    rows = []
    for name, (unit, terms, values) in costs.items():
        missed = fitted(sizes[:-1], values[:-1], terms, sizes[-1:])[0] / values[-1] - 1
        further = fitted(sizes, values, terms, RECKONED)
        cells = [f"{value / unit:.3g}" for value in (*values, *further)]
        rows.append([name, *cells[: len(sizes)], f"{missed:+.0%}", *cells[len(sizes) :]])
    columns = ["", *(f"{size:,}" for size in sizes), "error", *(f"{size:.0e}" for size in RECKONED)]
    show(f"{title}: measured up to {sizes[-1]:,}, and reckoned", columns, rows)


def embedded(points: int, dimension: int) -> list[float]:
    """Return the costs of a number of points, as EMBEDDED names them, in seconds and bytes."""

    def measure() -> list[float]:
        with tempfile.TemporaryDirectory(dir=os.environ.get("CBIR_BENCH_DIR")) as folder:
            made(Path(folder), points, dimension)
            filled, _, found = measured("cbir-steps", folder)
        seconds = found["warm"]["10"], found["open"] + found["cold"]
        return [filled["processor"], filled["disk"], max(found["memory"], 1), *seconds]

    return list(kept(RESULTS / "scale" / f"embedded-{points}x{dimension}.json", measure))


def served(points: int, dimension: int, kind: str = "") -> list[float]:
    """Return the costs of a number of points, as SERVED names them, in seconds and bytes."""
    folder, plain = million_served.place(points, dimension, kind), million_served.PLAIN

    def of_files(rows: range) -> list[dict[str, object]]:
        return [{**file_payload(row), "index": row} for row in rows]

    def measure() -> list[float]:
        payload = of_files if kind else payloads
        took = million_served.filled(folder, points, dimension, [plain], payload)[plain]
        found = million_served.searched(folder, plain)
        seconds = took["load, server"], took["index, server"]
        return [*seconds, found["disk"], found["memory"], found["resident"], found["p50"] / 1000]

    return list(kept(RESULTS / "scale" / f"server{kind}-{points}x{dimension}.json", measure))


def fitted(sizes: Sequence[int], values: np.ndarray, terms: Sequence[str], asked: Sequence[float]) -> np.ndarray:
    """Fit a sum of terms to the values of some sizes; return what it says of others, (asked,)."""
    columns, further = (
        np.stack([_TERMS[term](np.array(each, float)) for term in terms], axis=1) for each in (sizes, asked)
    )
    parts, _ = nnls(columns / values[:, None], np.ones(len(sizes)))
    return further @ parts


if __name__ == "__main__":
    main(sys.argv[1:])
