"""What no embedded collection uses: shards that killed processes left, or that were replaced, and half-written files.

In: the folder of all collections. Out: each leftover, with its size; or it is removed. What is being filled now is none
of them, and what a reader still has open is not removed.
"""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import qdrant_edge as edge

from cbir.collection.embedded.card import has_metadata, read_metadata
from cbir.collection.embedded.shards import PREFIX, edge_errors, open_shards, who_uses
from cbir.collection.embedded.unwritable import held
from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.collection.lock import Patience, is_held
from cbir.core.disk import entries, size_on_disk
from cbir.core.leftover import Leftover, partials


@contextlib.contextmanager
def locked(shard: Path, name: str, timeout: float = 0) -> Iterator[None]:
    """Hold Edge's lock on a shard of collection `name` that is to be removed, so that nobody opens it meanwhile.

    A shard that is incomplete or damaged cannot be open anywhere, and has no lock.

    Parameters
    ----------
    shard : Path
    name : str
    timeout : float
        Seconds to wait for another process to close it.

    Raises
    ------
    CollectionBusyError
        It is open, in another process or in this one.
    """
    if open_shards.users(shard):
        raise CollectionBusyError(f"collection '{name}' is open in this process; close it first")
    patience = Patience(timeout, lambda: who_uses(shard.parent))
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(_held_alone(shard, name))
            except CollectionBusyError:
                if not patience.wait():
                    raise
            except (CollectionError, OSError):
                break
            else:
                break
        yield


@contextlib.contextmanager
def _held_alone(shard: Path, name: str) -> Iterator[None]:
    if sys.platform == "win32":
        with edge_errors(name):
            opened = edge.EdgeShard.load(str(shard))
        try:
            yield
        finally:
            with contextlib.suppress(CollectionError), edge_errors(name):  # its files may be gone
                opened.close()
    else:  # not opened: of half a copy, or on a full disk, that may end the process
        with held(shard, name, alone=True):
            yield


def sweep(folder: Path) -> None:
    """Remove a collection's shards, but for the one in use: replaced ones, and those that killed processes left.

    Which one is in use, the metadata file says: where it cannot be read, none is removed.
    A shard that somebody still reads stays until the next time. While one is being removed, it is locked:
    whoever comes late finds it in use, reads the metadata file again, and opens the shard that it names by then.
    """
    used = None
    if has_metadata(folder):
        try:
            used = read_metadata(folder)[1]
        except CollectionError:
            return
    for path in shard_folders(folder):
        if path.name != used:
            with contextlib.suppress(CollectionBusyError), locked(path, folder.name):
                shutil.rmtree(path, ignore_errors=True)


def shard_folders(folder: Path) -> list[Path]:
    """Return the shards in a collection's folder, used or not."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if path.is_dir())


def leftovers(collections: Path, lock: str) -> list[Leftover]:
    """Return what no collection in a folder uses.

    Parameters
    ----------
    collections : Path
    lock : str
        Name of the file, in a collection's folder, that whoever fills the collection holds.
    """
    found: list[Leftover] = []
    for folder in entries(collections):
        if folder.is_dir() and not folder.name.startswith(".") and not is_held(folder / lock):
            found += _of(folder) if has_metadata(folder) else _incomplete(folder, lock)
    return found


def remove_leftover(leftover: Leftover, used: str) -> None:
    """Remove a shard or a half-written file of a collection that is locked for filling.

    Parameters
    ----------
    leftover : Leftover
    used : str
        Name of the shard that the collection uses by now.

    Raises
    ------
    CollectionBusyError
        It is open, or the one in use.
    """
    path = leftover.path
    if leftover.kind == "partial":
        path.unlink(missing_ok=True)
        return
    if path.name == used:
        raise CollectionBusyError(f"{path} is in use")
    with locked(path, path.parent.name):
        shutil.rmtree(path)


def _of(folder: Path) -> Iterator[Leftover]:
    """Yield what a collection does not use; nothing of one that cannot be read."""
    try:
        used = read_metadata(folder)[1]
    except CollectionError:
        return
    yield from partials(folder)
    for shard in shard_folders(folder):
        if shard.name != used and not is_open(shard):
            yield Leftover("points", shard, size_on_disk(shard), f"collection '{folder.name}' no longer uses them")


def _incomplete(folder: Path, lock: str) -> Iterator[Leftover]:
    """Yield a folder that holds no collection, if it is one of ours: of a process that was killed."""
    shards = shard_folders(folder)
    if (shards or (folder / lock).is_file()) and not any(map(is_open, shards)):
        yield Leftover("points", folder, size_on_disk(folder), "left by a process that was stopped; no collection")


def is_open(shard: Path) -> bool:
    """Tell whether a shard is open, in this process or another; it is locked for a moment to find out."""
    with contextlib.suppress(CollectionBusyError), locked(shard, shard.parent.name):
        return False
    return True
