"""The HNSW index after a load, built beside the calling thread, so that Ctrl-C and a clock keep working."""

import threading
import time
from collections.abc import Callable
from contextlib import closing

from cbir.collection.interface import CollectionError, Engine

#: Told points in the index, points in all (None: not known), and the seconds it has taken, as text.
Tell = Callable[[int, int | None, str], None]


def build_index(engine: Engine, name: str, wanted: bool | None, tell: Tell) -> float:
    """Build a collection's index and wait until it is whole.

    Parameters
    ----------
    engine : Engine
    name : str
    wanted : bool or None
        Build it whatever the size, or do not; None: when it pays.
    tell : callable

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

    def clock() -> str:
        return f"{time.perf_counter() - start:.0f} s"

    def advanced(done: int, total: int) -> None:
        nonlocal indexed
        indexed = (done, total)

    with closing(engine.open(name)) as collection:
        if not (collection.index_pays() if wanted is None else wanted):
            return 0.0

        def build() -> None:
            try:
                collection.build_index(small=wanted is True, report=advanced)
            except CollectionError as error:
                failures.append(error)

        worker = threading.Thread(target=build, daemon=True)
        worker.start()
        try:
            while worker.is_alive():
                worker.join(0.2)
                tell(*indexed, clock())
        except KeyboardInterrupt:
            # Edge cannot be interrupted here, and closing waits for it.
            tell(*indexed, "stopping once Qdrant lets go")
            raise
    if failures:
        raise CollectionError(f"every image is stored and can be searched, but without an HNSW index: {failures[0]}")
    everything = indexed[1] or 1
    tell(everything, everything, clock())
    return time.perf_counter() - start
