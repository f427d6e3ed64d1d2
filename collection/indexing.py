"""The HNSW index after a load, built in another thread: meanwhile Ctrl-C and the progress bar work."""

import threading
import time
from contextlib import closing

from cbir.collection.errors import CollectionError
from cbir.collection.interface import Engine
from cbir.core.progress import Progress, silent

_REPORT_SECONDS = 0.2


def build_index(engine: Engine, name: str, wanted: bool | None, progress: Progress = silent) -> float:
    """Build a collection's index and wait until it is complete.

    Parameters
    ----------
    engine : Engine
    name : str
    wanted : bool or None
        Build it whatever the size, or do not; None: when it pays.
    progress : Progress
        Stage `index`: points in the index of points in all, with the seconds as the note.

    Returns
    -------
    float
        Seconds it took; 0 if it was not built.

    Raises
    ------
    CollectionError
        The index could not be built; the points are stored and can be searched.
    """
    start = time.perf_counter()
    failures: list[CollectionError] = []
    indexed: tuple[int, int | None] = (0, None)

    def seconds() -> str:
        return f"{time.perf_counter() - start:.0f} s"

    def indexing(stage: str, done: int, total: int | None, note: str = "") -> None:  # noqa: ARG001 - a Progress
        nonlocal indexed
        indexed = (done, total)

    with closing(engine.open(name)) as collection:
        if not (collection.index_pays() if wanted is None else wanted):
            return 0.0

        def build() -> None:
            try:
                collection.build_index(small=wanted is True, progress=indexing)
            except CollectionError as error:
                failures.append(error)

        worker = threading.Thread(target=build, daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(_REPORT_SECONDS)
            progress("index", *indexed, seconds())
    if failures:
        raise CollectionError(f"every image is stored and can be searched, but without an HNSW index: {failures[0]}")
    total = indexed[1] or 1
    progress("index", total, total, seconds())
    return time.perf_counter() - start
