"""A shard where nothing may be written, in somebody else's home or on a read-only disk: a copy of it is used.

Qdrant Edge opens a shard's files for writing, also to search them. In: the shard's folder. Out: a folder that is
removed when it is no longer used.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cbir.collection.errors import UnreadableError, in_use
from cbir.core.disk import check_room, copy_folder, remedy, size_on_disk
from cbir.core.errors import warn_caller


def may_be_written(shard: Path) -> bool:
    """Tell whether a shard and all in it may be written; not where its disk is read-only."""
    paths = (Path(folder, name) for folder, _, names in os.walk(shard) for name in (".", *names))
    return all(os.access(path, os.W_OK) for path in paths)


def copied(shard: Path, name: str) -> tempfile.TemporaryDirectory[str]:
    """Copy a shard of collection `name` to a temporary folder, and say so.

    Raises
    ------
    CollectionBusyError
        Another process has it open: it may be writing there.
    UnreadableError
        It may not even be read.
    CbirError
        There is no room for it.
    """
    size = size_on_disk(shard)
    place = tempfile.TemporaryDirectory(prefix="cbir-", ignore_cleanup_errors=True)
    try:
        check_room(Path(place.name), size)
        with held(shard, name):
            copy_folder(shard, Path(place.name))
    except OSError as error:
        place.cleanup()
        raise UnreadableError(
            f"cannot read collection '{name}' ({error.filename or shard}): {error.strerror or error}; "
            f"{remedy(error)}name another --collection"
        ) from error
    except BaseException:
        place.cleanup()
        raise
    warn_caller(
        f"collection '{name}' cannot be written where it is ({shard.parent}): "
        f"a copy of it is used ({size / 1e6:,.0f} MB in {place.name})"
    )
    return place


@contextlib.contextmanager
def held(shard: Path, name: str, *, alone: bool = False) -> Iterator[None]:
    """Keep Edge from opening a shard, and others from holding it `alone`, as Edge does: by a lock on its log's folder.

    Raises
    ------
    CollectionBusyError
        It is open.
    OSError
        It has no log, or not one that may be read.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    log = os.open(shard / "wal", os.O_RDONLY)
    try:
        try:
            fcntl.flock(log, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise in_use(name) from None
        except OSError:
            pass  # a file system that has no locks
        yield
    finally:
        os.close(log)
