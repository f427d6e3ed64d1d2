"""What no embedded collection uses: shards that killed processes left, or that were replaced, and half-written files.

In: the folder of all collections. Out: each leftover, with its size. What is being filled now is none of them, and
what a reader still has open is not removed.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from cbir.collection.embedded.card import has_metadata, read_metadata
from cbir.collection.embedded.shards import locked, shard_folders
from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.collection.lock import is_held
from cbir.core.disk import entries, size_on_disk
from cbir.core.leftover import Leftover, partials


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
