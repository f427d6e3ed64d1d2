"""Points beside their nearest neighbours: t-SNE, in a process of its own, with progress, and stopped when one likes.

In: features of few values, and where points are to begin. Out: a place in two dimensions for each. openTSNE does it,
which is the extra `map`; beside UMAP, on two cores, it took 33 s and 36 s for 10,000 digits (to import UMAP took 13 s
more) and kept 36% and 20% of the ten nearest neighbours, of 499 photographs 54% and 52%.
"""

import contextlib
import functools
import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cbir.core.errors import CbirError
from cbir.core.extras import to_install
from cbir.core.processes import ProcessError, Processes, usual_processes
from cbir.core.progress import Progress, silent
from cbir.core.workers import usable_cores

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

R = TypeVar("R")

#: Points at the least, and those that are arranged at the most: others are placed beside these.
FEWEST, MOST = 10, 100_000
#: How many neighbours count; iterations with each force between these, and at once.
_PERPLEXITY = 30.0
_PHASES = ((250, 12.0, 0.5), (500, 1.0, 0.8))
_AT_ONCE = 25
_SEED = 0
#: Seconds between two reports, and for one call at the most.
_EVERY, _LONGEST = 0.3, 3600.0


def can_arrange() -> bool:
    """Tell whether what arranges points is installed."""
    return importlib.util.find_spec("openTSNE") is not None


def how_to_install() -> str:
    """Return what to type where it is not."""
    return f"to arrange pictures by their neighbours: {to_install('map')}"


def arranged(
    features: np.ndarray, begin: np.ndarray, progress: Progress = silent, threads: int | None = None
) -> np.ndarray:
    """Arrange points so that those are near each other whose features are.

    Parameters
    ----------
    features : ndarray of float32, shape (n, r)
        At least `FEWEST`.
    begin : ndarray of float32, shape (n, 2)
        Where the points begin; the principal components make large distances mean something.
    progress : Progress
        Stages `neighbours`, `arrange`. An exception that it raises stops the work.
    threads : int, optional
        By default one fewer than there are usable cores, so that others are served meanwhile.

    Returns
    -------
    ndarray of float32, shape (n, 2)

    Raises
    ------
    CbirError
        The extra `map` is not installed, there are too few points, or memory ran out.

    References
    ----------
    van der Maaten and Hinton, "Visualizing data using t-SNE", 2008; Linderman et al., "Fast interpolation-based t-SNE
    for improved visualization of single-cell RNA-seq data", 2019 (FIt-SNE); Kobak and Berens, "The art of using t-SNE
    for single-cell transcriptomics", 2019 (where to begin); Poličar et al., "openTSNE: a modular Python library for
    t-SNE dimensionality reduction and embedding", 2024.
    """
    if not can_arrange():
        raise CbirError(how_to_install())
    if len(features) < FEWEST:
        raise CbirError(f"there are too few pictures to arrange: {len(features)}, not {FEWEST}")
    threads = max(1, usable_cores() - 1) if threads is None else threads
    scale = float(begin[:, 0].std()) or 1.0
    places = (begin - begin.mean(axis=0)) / scale * 1e-4
    total = sum(count for count, _, _ in _PHASES)
    with Processes(min(1, usual_processes())) as processes, ThreadPoolExecutor(1) as pool:

        def waited(stage: str, done: int, of: int | None, function: Callable[..., R], *args: Any) -> R:
            """Call in the process; whoever stops the work does not wait for the call's end."""
            future = pool.submit(functools.partial(processes.call, _LONGEST, function, *args))
            try:
                while not future.done():
                    progress(stage, done, of)
                    _wait(future)
            except BaseException:
                processes.close()
                raise
            return future.result()

        weights = waited("neighbours", 0, None, _weights, features, threads)
        gains = np.ones_like(places)
        for done, steps, force, momentum in _steps():
            places, gains = waited(
                "arrange", done, total, _moved, weights, places, gains, steps, force, momentum, threads
            )
    progress("arrange", total, total)
    return np.ascontiguousarray(places, np.float32)


def _wait(future: "Future[R]") -> None:
    with contextlib.suppress(TimeoutError, ProcessError):
        future.result(timeout=_EVERY)


def _steps() -> Iterator[tuple[int, int, float, float]]:
    """Yield iterations done before, those to be done at once, how much stronger points attract, and the momentum."""
    done = 0
    for count, force, momentum in _PHASES:
        for _ in range(0, count, _AT_ONCE):
            yield done, _AT_ONCE, force, momentum
            done += _AT_ONCE


def _weights(features: np.ndarray, threads: int) -> "csr_matrix":
    from openTSNE.affinity import PerplexityBasedNN

    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    made = PerplexityBasedNN(features, perplexity=perplexity, n_jobs=threads, random_state=_SEED)
    weights: csr_matrix = made.P
    return weights


def _moved(
    weights: "csr_matrix",
    places: np.ndarray,
    gains: np.ndarray,
    steps: int,
    force: float,
    momentum: float,
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PrecomputedAffinities
    from openTSNE.tsne import gradient_descent

    descent = gradient_descent()
    descent.gains = gains
    affinities = PrecomputedAffinities(weights, normalize=False)
    embedding = TSNEEmbedding(places, affinities, optimizer=descent, n_jobs=threads, random_state=_SEED)
    embedding.optimize(steps, inplace=True, exaggeration=force, momentum=momentum)
    return np.array(embedding), np.array(descent.gains)
