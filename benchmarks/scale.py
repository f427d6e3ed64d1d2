"""What more pictures cost: measured up to a million, and reckoned from there to a billion.

`python -m benchmarks scale [POINTS ...] [DIMENSION]`: by default 1,000, 10,000, 100,000 and 1,000,000 points of 128
values. For each size, an embedded collection is loaded, its index growing in steps, opened by another process, and
searched. To each cost a sum of terms is fitted (a constant, n, n log n or log n, as it should grow; none negative), so
that the relative errors are least. How far that misses is told by leaving out the largest size, fitting the others, and
asking for the one that was left out.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from benchmarks.million import made, measured
from benchmarks.setting import show, whole

SIZES, DIMENSION = (1_000, 10_000, 100_000, 1_000_000), 128
RECKONED = (10_000_000, 100_000_000, 1_000_000_000)
_TERMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "1": np.ones_like,
    "n": np.asarray,
    "log n": np.log,
    "n log n": lambda n: n * np.log(n),
}
#: What is measured, how many of it are shown as one, and what it grows with.
COSTS = {
    "processor time to load and index, h": (3600.0, ("1", "n", "n log n")),
    "disk, GB": (1e9, ("1", "n")),
    "memory of the searching process, GB": (1e9, ("1", "n")),
    "warm search, ms": (1e-3, ("1", "log n")),
    "open and cold search, s": (1.0, ("1", "n")),
}


def main(arguments: list[str] | None = None) -> None:
    """Print the costs of each size, what is fitted to them, and what that says of larger sizes."""
    numbers = whole(arguments)
    dimension = next((each for each in numbers if each <= 256), DIMENSION)
    sizes = [each for each in numbers if each > 256] or list(SIZES)
    costs = np.array([of_size(size, dimension) for size in sizes])
    rows = []
    for (name, (unit, terms)), values in zip(COSTS.items(), costs.T, strict=True):
        missed = fitted(sizes[:-1], values[:-1], terms, sizes[-1:])[0] / values[-1] - 1
        further = fitted(sizes, values, terms, RECKONED)
        cells = [f"{value / unit:.3g}" for value in (*values, *further)]
        rows.append([name, *cells[: len(sizes)], f"{missed:+.0%}", *cells[len(sizes) :]])
    columns = ["", *(f"{size:,}" for size in sizes), "error", *(f"{size:.0e}" for size in RECKONED)]
    show(f"Points of {dimension} values: measured up to {sizes[-1]:,}, and reckoned", columns, rows)


def of_size(points: int, dimension: int) -> list[float]:
    """Return the costs of a number of points, as COSTS names them, in seconds and bytes."""
    print(f"{points:,}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=os.environ.get("CBIR_BENCH_DIR")) as folder:
        made(Path(folder), points, dimension)
        filled, found = measured("cbir-steps", folder)
    seconds = found["warm"]["10"], found["open"] + found["cold"]
    return [filled["processor"], filled["disk"], max(found["memory"], 1), *seconds]


def fitted(sizes: Sequence[int], values: np.ndarray, terms: Sequence[str], asked: Sequence[int]) -> np.ndarray:
    """Fit a sum of terms to the values of some sizes; return what it says of others, (asked,)."""
    columns, further = (
        np.stack([_TERMS[term](np.array(each, float)) for term in terms], axis=1) for each in (sizes, asked)
    )
    parts, _ = nnls(columns / values[:, None], np.ones(len(sizes)))
    return further @ parts


if __name__ == "__main__":
    main(sys.argv[1:])
