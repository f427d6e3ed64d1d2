"""Shards of Qdrant Edge: made, opened once in a process, and removed; and what Edge's errors mean.

A shard is a folder of Edge's, `NAME/shard-*`, that holds the points of a
collection. Edge locks it against every other opening, by this process too.
"""

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import qdrant_edge as edge

from cbir.collection.embedded.card import how_to_rebuild
from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.core.disk import free_bytes
from cbir.core.errors import first_line

#: Bytes of disk that must stay free: where Qdrant's memory-mapped files cannot
#: grow, the system kills the process (SIGBUS) instead of giving an error.
DISK_RESERVE = 100_000_000

_PREFIX = "shard-"

#: What Edge's messages say when the system did not let it write.
_WRITE_REFUSED = ("No space", "Permission denied", "Read-only", "File too large")


@contextlib.contextmanager
def edge_errors(name: str, hint: str = "") -> Iterator[None]:
    """Turn Edge's bare exceptions, which have Rust's words, into a CollectionError about collection `name`.

    Parameters
    ----------
    name : str
    hint : str
        Put behind the message, unless the system refused to write.
    """
    try:
        yield
    except CollectionError:
        raise
    except BaseException as error:
        # A Rust panic, as damaged files cause it, is not an Exception in Python.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        text = str(error)
        if "WouldBlock" in text:
            raise CollectionBusyError(
                f"collection '{name}' is in use by another process; wait until that ends, "
                "or keep the collection on a Qdrant server, which many processes can use at once"
            ) from None
        if any(refusal in text for refusal in _WRITE_REFUSED):
            hint = "; free some space, or check the permissions"
        raise CollectionError(f"collection '{name}': {first_line(error)}{hint}") from error


def create_shard(folder: Path, dimension: int) -> str:
    """Make an empty shard in a collection's folder, which is made if need be.

    Returns
    -------
    str
        The shard folder's name.

    Raises
    ------
    CollectionError
        The disk is nearly full, or Edge refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_free_space(folder, 0)
    shard = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    try:
        vectors = edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Euclid)
        # Edge builds an HNSW index only when told to; then it must not find the collection too small.
        config = edge.EdgeConfig(vectors=vectors, optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1))
        with edge_errors(folder.name):
            edge.EdgeShard.create(str(shard), config).close()
    except BaseException:
        shutil.rmtree(shard, ignore_errors=True)
        raise
    return shard.name


class OpenShards:
    """The shards that this process has open, each counted by its users: Edge lets nobody open one twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, tuple[edge.EdgeShard, int]] = {}

    def acquire(self, folder: Path, name: str) -> edge.EdgeShard:
        """Return the shard in a folder; each call needs one of `release`."""
        with self._lock:
            if folder in self._open:
                shard, users = self._open[folder]
            else:
                with edge_errors(name, f"; if this happens again, {how_to_rebuild(name)}"):
                    shard, users = edge.EdgeShard.load(str(folder)), 0
            self._open[folder] = (shard, users + 1)
            return shard

    def release(self, folder: Path, name: str) -> None:
        """Close the shard if nobody else in this process uses it."""
        with self._lock:
            shard, users = self._open.pop(folder)
            if users > 1:
                self._open[folder] = (shard, users - 1)
                return
            with edge_errors(name):
                shard.close()


open_shards = OpenShards()


def remove_unused_shards(folder: Path, used: str = "") -> None:
    """Remove a collection's shards, but for the one in use: replaced ones, and those that killed processes left.

    A shard that somebody still reads stays until the next time. While one is being removed, it is locked:
    whoever comes late finds it in use, reads the metadata file again, and opens the shard that it names by then.
    """
    for path in folder.glob(f"{_PREFIX}*"):
        if path.name == used:
            continue
        shard = None
        try:
            with edge_errors(path.name):
                shard = edge.EdgeShard.load(str(path))
        except CollectionBusyError:
            continue
        except CollectionError:
            pass  # incomplete: nobody can be reading it
        shutil.rmtree(path, ignore_errors=True)
        if shard is not None:
            with contextlib.suppress(CollectionError), edge_errors(path.name):
                shard.close()


def check_free_space(folder: Path, wanted: int) -> None:
    """Refuse to write `wanted` bytes of vectors to a nearly full disk.

    Raises
    ------
    CollectionError
    """
    free = free_bytes(folder)
    if free < DISK_RESERVE + 4 * wanted:
        raise CollectionError(
            f"only {free / 1e6:.0f} MB are free at {folder}, and Qdrant needs {DISK_RESERVE / 1e6:.0f} MB to spare; "
            "free some space, or name another place with CBIR_HOME"
        )


def size_on_disk(folder: Path) -> int:
    """Return the bytes that a folder takes on disk, fewer than its files' sizes: Qdrant's files are sparse."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # Qdrant may remove files meanwhile
            status = path.stat()
            total += getattr(status, "st_blocks", 0) * 512 or status.st_size
    return total
