"""Collections in this process: Qdrant Edge, one folder for each collection.

In a collection's folder, `collection.json` is the metadata file (card.py), and `shard-*` are Edge's shards of points
(shards.py), of which the metadata file names the one in use.
"""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.collection.checks import validated_name
from cbir.collection.embedded.card import LOCK, MAP, NAME, has_metadata, read_metadata, write_metadata
from cbir.collection.embedded.state import is_untouched, read_state
from cbir.collection.errors import (
    CollectionBusyError,
    CollectionError,
    NewerFormatError,
    UnreadableError,
    already_exists,
    no_such_collection,
)
from cbir.collection.interface import Collection, Info
from cbir.collection.layout import Layout
from cbir.collection.lent.asking import borrowed, encoded, encoded_words, let_go
from cbir.collection.lent.borrowed import BorrowedCollection
from cbir.collection.lent.line import LenderGoneError
from cbir.collection.lock import Patience, filling
from cbir.collection.metadata import Metadata
from cbir.core.disk import check_room, entries, size_on_disk
from cbir.core.leftover import Leftover
from cbir.core.names import normalized, same_name
from cbir.core.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np


class EmbeddedEngine:
    """Collections in a folder.

    Parameters
    ----------
    folder : Path
        Made when the first collection is.
    timeout : float
        Seconds to wait for a collection that another process uses.
    layout : Layout, optional
        For collections made here.
    """

    def __init__(self, folder: Path, *, timeout: float = 10.0, layout: Layout | None = None) -> None:
        self.folder = folder
        self.layout = layout or Layout()
        self.timeout = timeout
        self._filled: set[Path] = set()

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.folder)

    def names(self) -> list[str]:
        """Return the names of the collections, sorted."""
        return [path.name for path in entries(self.folder) if has_metadata(path)]

    def all_metadata(self) -> dict[str, Metadata | CollectionError]:
        """Read the metadata of all collections; an error where they cannot be read."""
        found: dict[str, Metadata | CollectionError] = {}
        for name in self.names():
            try:
                found[name] = self.metadata(name)
            except CollectionError as error:
                found[name] = error
        return found

    def exists(self, name: str) -> bool:
        """Tell whether there is a collection of this name."""
        return same_name(name, self.names()) is not None

    def spelled(self, name: str) -> str:
        """Return a name as the collection has it, or as a new one will."""
        return same_name(name, self.names()) or normalized(name)

    def metadata(self, name: str) -> Metadata:
        """Read a collection's metadata without opening it."""
        return read_metadata(self._existing(name))[0]

    def open(self, name: str) -> Collection:
        """Open a collection, or borrow it from the process that lends; wait for another process to close it."""
        folder = self._existing(name)
        patience = Patience(self.timeout, lambda: _who_uses(folder, filled_here=folder in self._filled))
        while True:
            folder = self._existing(name)  # each time: it may be removed while this waits
            metadata, shard = read_metadata(folder)
            try:
                return borrowed(self.folder, folder.name) or _opened(folder, shard, metadata)
            except (CollectionBusyError, LenderGoneError):
                if not patience.wait() and read_metadata(folder)[1] == shard:
                    raise
            except CollectionError:
                # Replaced after its metadata were read, and the shard that they named removed?
                if read_metadata(folder)[1] == shard:
                    raise

    def info(self, name: str) -> Info:
        """Return a collection's sizes: those that were noted when it was closed, if nobody has written to it since.

        Opening a million points takes a second.
        """
        folder = self._existing(name)
        metadata, shard = read_metadata(folder)
        state = read_state(folder / shard)
        if state is not None and state.tells(metadata.updated) and is_untouched(folder / shard, state):
            return Info(state.points, state.indexed, size_on_disk(folder / shard), str(folder))
        with contextlib.closing(self.open(name)) as opened:
            return opened.info()

    def create(self, name: str, metadata: Metadata) -> Collection:
        """Make an empty collection."""
        from cbir.collection.embedded.leftovers import sweep
        from cbir.collection.embedded.shards import create_shard

        folder = self._place(name)
        if has_metadata(folder):
            raise already_exists(folder.name)
        sweep(folder)
        shard = create_shard(folder, metadata, self.layout)
        write_metadata(folder, metadata, shard)
        return borrowed(self.folder, folder.name) or _opened(folder, shard, metadata)

    def encode(self, name: str, fingerprint: str, pixels: "np.ndarray") -> "np.ndarray | None":
        """Encode pixels in the process that lends the collection; None if there is none."""
        return encoded(self.folder, name, fingerprint, pixels)

    def encode_words(self, name: str, fingerprint: str, texts: Sequence[str]) -> "np.ndarray | None":
        """Encode texts in the process that lends the collection; None if there is none."""
        return encoded_words(self.folder, name, fingerprint, texts)

    @contextlib.contextmanager
    def replacement(self, name: str, metadata: Metadata) -> Iterator[Collection]:
        """Yield an empty collection that takes the place of `name`, if there is one, when the block succeeds."""
        from cbir.collection.embedded.leftovers import sweep
        from cbir.collection.embedded.points import EmbeddedCollection
        from cbir.collection.embedded.shards import create_shard

        folder = self._place(name)
        _used_shard(folder)  # it must not be a newer cbir's
        sweep(folder)
        collection = EmbeddedCollection(
            folder.name, folder, create_shard(folder, metadata, self.layout), metadata, in_place=False
        )
        try:
            try:
                yield collection
            finally:
                collection.close()
            _used_shard(folder)  # again: hours may have passed
            write_metadata(folder, collection.metadata, collection.shard)
            (folder / MAP).unlink(missing_ok=True)
        except BaseException:
            shutil.rmtree(folder / collection.shard, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.rmdir()  # nothing else in it: there was none to replace
            raise
        with contextlib.suppress(CollectionError), let_go(self.folder, folder.name):  # else it is swept the next time
            sweep(folder)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Lock `name` for filling; the system releases the lock if the process dies.

        What killed processes left of it, such as a copy in which an index was being built, is removed.
        """
        folder = self._place(name)
        with self._filling(folder):
            if len(list(folder.glob("shard-*"))) > 1:
                from cbir.collection.embedded.leftovers import sweep

                sweep(folder)
            yield

    @contextlib.contextmanager
    def _filling(self, folder: Path) -> Iterator[None]:
        with filling(folder / LOCK, folder.name):
            self._filled.add(folder)
            try:
                yield
            finally:
                self._filled.discard(folder)
                _remove_folder(folder)

    def delete(self, name: str) -> None:
        """Remove a collection and all its points; it may be damaged.

        It is gone once its metadata file is: what a process that is killed afterwards leaves is no collection.
        """
        from cbir.collection.embedded.leftovers import locked, shard_folders

        folder = self._existing(name)
        used = _used_shard(folder)
        shards = [shard for shard in shard_folders(folder) if used in (None, shard.name)]
        with contextlib.ExitStack() as stack:
            stack.enter_context(let_go(self.folder, folder.name))
            for shard in shards:
                stack.enter_context(locked(shard, folder.name, self.timeout))
            (folder / NAME).unlink()
            for shard in shards:
                shutil.rmtree(shard, ignore_errors=True)
        _remove_folder(folder)

    def other_names(self, name: str) -> list[str]:  # noqa: ARG002
        """Return nothing: a folder has one name."""
        return []

    def leftovers(self) -> list[Leftover]:
        """Return what processes that were killed, or that filled a collection anew, left here."""
        from cbir.collection.embedded.leftovers import leftovers

        return leftovers(self.folder, LOCK)

    def clear(self, leftover: Leftover) -> None:
        """Remove a leftover; CollectionBusyError if its collection is being filled or it is still in use."""
        from cbir.collection.embedded.leftovers import remove_leftover

        folder = leftover.path.parent if leftover.path.parent != self.folder else leftover.path
        with self._filling(folder):
            if has_metadata(folder) and leftover.path != folder:
                remove_leftover(leftover, read_metadata(folder)[1])

    def close(self) -> None:
        """Do nothing: each collection is closed by itself."""

    def snapshot(self, name: str, path: Path, progress: Progress = silent) -> None:
        """Write an archive of a collection, which nobody changes meanwhile."""
        from cbir.collection.archive import write_archive

        with contextlib.ExitStack() as stack:
            collection = stack.enter_context(contextlib.closing(self.open(name)))
            if isinstance(collection, BorrowedCollection):  # nobody else has it open, unless it is borrowed
                stack.enter_context(self.writing(name))
            write_archive(collection, path, progress)

    def restore(self, path: Path, name: str, progress: Progress = silent) -> None:
        """Make collection `name` from an archive."""
        from cbir.collection.archive import is_archive
        from cbir.collection.embedded.shards import DISK_RESERVE
        from cbir.collection.unpack import read_archive

        if not is_archive(path):
            raise CollectionError(
                f"{path} is not a cbir archive; if it is a Qdrant snapshot, restore it on a server "
                "(--qdrant-url), then copy the collection to this machine with cbir pull"
            )
        read_archive(path, self, name, progress, room=lambda size: check_room(self.folder, size + DISK_RESERVE))

    def _existing(self, name: str) -> Path:
        names = self.names()
        found = same_name(name, names)
        if found is None:
            raise no_such_collection(name, self.location, names)
        return self.folder / found

    def _place(self, name: str) -> Path:
        """Return the folder of a collection, or the one that it will have: its name may be spelled in another way.

        The path is spelled as the file system lists it, so that all of a collection's paths are equal also where the
        file system takes others for the same.
        """
        names = self.names()
        being_made = [path.name for path in entries(self.folder)]
        return self.folder / (same_name(name, names) or same_name(name, being_made) or validated_name(name))


def _opened(folder: Path, shard: str, metadata: Metadata) -> Collection:
    """Open a collection in this process; check it, if whoever changed it last was stopped."""
    from cbir.collection.embedded.points import EmbeddedCollection
    from cbir.collection.embedded.unclean import check_after_unclean_end

    collection = EmbeddedCollection(folder.name, folder, shard, metadata)
    if not collection.clean:
        check_after_unclean_end(collection)
    return collection


def _who_uses(folder: Path, *, filled_here: bool) -> str:
    from cbir.collection.embedded.shards import who_uses

    return who_uses(folder, filled_here=filled_here)


def _remove_folder(folder: Path) -> None:
    """Remove what is left of a collection without metadata: what is not in use, and not somebody else's.

    The lock's file goes last: whoever finds none makes a folder and a lock of their own, which stay.
    """
    from cbir.collection.embedded.leftovers import sweep

    if has_metadata(folder):
        return
    sweep(folder)
    for path in (
        folder / MAP,
        *(each for name in (NAME, MAP) for each in folder.glob(f".{name}.*.partial")),
        folder / LOCK,
    ):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _used_shard(folder: Path) -> str | None:
    """Return the name of the shard in use, or None if there is no collection or it is damaged: it may be replaced.

    Raises
    ------
    NewerFormatError
        A newer cbir wrote the collection.
    UnreadableError
        The system does not let us read it.
    """
    try:
        return read_metadata(folder)[1]
    except (NewerFormatError, UnreadableError):
        raise
    except CollectionError:
        return None
