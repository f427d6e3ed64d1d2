"""A shard is opened in a worker process first, where opening it may end the process.

In: a shard's folder. Out: nothing, or an error in words. Edge maps files into
memory: where the disk is full, or a file is damaged, the system may end the
process (SIGBUS, or because memory runs out) in the middle of opening, without a
word. What Edge allocates on disk in the worker is there when this process opens.
"""

import os
from contextlib import suppress
from pathlib import Path

from cbir.collection.errors import CollectionError
from cbir.core.memory import bounded_memory
from cbir.core.processes import ProcessError, Processes

#: Seconds that an opening may take: a million points take some two.
_SECONDS = 600.0
#: Bytes of address space for all but the shard's own files, which may be mapped and read: a damaged number may be
#: taken for a size.
_SPACE, _TIMES = 8 << 30, 3


def try_to_open(shard: Path, name: str, hint: str) -> None:
    """Open a shard of collection `name` in another process, and close it.

    Parameters
    ----------
    shard : Path
    name : str
    hint : str
        Put behind the message: what to do about it.

    Raises
    ------
    CollectionError
        It cannot be opened.
    Exception
        Edge's own, as if it had been opened here.
    """
    with Processes(1) as worker:
        try:
            worker.call(_SECONDS, _open, str(shard))
        except ProcessError as error:
            raise CollectionError(f"collection '{name}': it cannot be opened, {error}{hint}") from None


def _open(shard: str) -> None:
    import qdrant_edge as edge

    with bounded_memory(_TIMES * _bytes(Path(shard)) + _SPACE):
        opened = edge.EdgeShard.load(shard)
        opened.scroll(edge.ScrollRequest(limit=1, with_vector=True, with_payload=True))
        opened.close()


def _bytes(shard: Path) -> int:
    total = 0
    for folder, _, names in os.walk(shard):
        for name in names:
            with suppress(OSError):  # another process may be writing there, until Edge says so
                total += Path(folder, name).stat().st_size
    return total
