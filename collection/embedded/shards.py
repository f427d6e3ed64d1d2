"""Shards of Qdrant Edge: made, opened once in a process, and removed; and what Edge's errors mean.

A shard is a folder of Edge's, `NAME/shard-*`, that holds the points of a
collection. Edge locks it against every other opening, by this process too.
"""

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import qdrant_edge as edge

from cbir.collection.embedded.card import LOCK, how_to_rebuild
from cbir.collection.embedded.kept import shard_config
from cbir.collection.embedded.probe import try_to_open
from cbir.collection.embedded.state import State, checksums, is_untouched, read_state, write_state
from cbir.collection.embedded.unwritable import copied, held, may_be_written
from cbir.collection.errors import CollectionBusyError, CollectionError, in_use
from cbir.collection.layout import Layout
from cbir.collection.lock import is_held
from cbir.collection.metadata import Metadata
from cbir.core.disk import free_bytes
from cbir.core.errors import first_line

#: Bytes of disk that must stay free: where Qdrant's memory-mapped files cannot
#: grow, the system kills the process (SIGBUS) instead of giving an error.
DISK_RESERVE = 100_000_000

#: Bytes that must be free to open a shard whose last writer was stopped: Edge writes what was not written.
_LEAST = 4_000_000

PREFIX = "shard-"

#: In a shard's folder: where Edge makes a segment with its index.
_BUILDING = "temp_segments"

#: Files of a segment that were being replaced by others.
_HALF_WRITTEN = "segments/*/.atomicwrite*"

#: What Edge's messages say when the system did not let it write, and what to do then.
_REMEDIES = {
    "No space": "; free some space",
    "File too large": "; free some space",
    "Permission denied": "; check the permissions",
    "Read-only": "; check the permissions",
}


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
            raise in_use(name) from None
        hint = next((remedy for refusal, remedy in _REMEDIES.items() if refusal in text), hint)
        raise CollectionError(f"collection '{name}': {first_line(error)}{hint}") from error


def create_shard(folder: Path, metadata: Metadata, layout: Layout | None = None) -> str:
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
    shard = new_folder(folder)
    try:
        config = shard_config(metadata.dimension, layout or Layout())
        with edge_errors(folder.name):
            edge.EdgeShard.create(str(shard), config).close()
        write_state(shard, State(signed=True, updated=metadata.updated))
    except BaseException:
        shutil.rmtree(shard, ignore_errors=True)
        raise
    return shard.name


def new_folder(folder: Path) -> Path:
    """Make the folder of a shard in a collection's, with the permissions that the collection's other files have."""
    shard = folder / f"{PREFIX}{os.urandom(4).hex()}"
    shard.mkdir()
    return shard


@dataclass
class OpenShard:
    """A shard that this process has open.

    Attributes
    ----------
    folder : Path
    shard : EdgeShard
    state : State
        As it was before it was opened; nothing is certain of an older cbir's.
    users : int
    changed : bool
        The file of its state says that it is being changed.
    damaged : bool
        A check has found damage.
    copy : TemporaryDirectory or None
        The folder may not be written: this one is open in its place.
    suspect : bool
        Its points are to be checked: whoever changed it last was stopped, or its files are not those that were closed.
    updated : str
        That of the collection's metadata, as whichever of its users read or wrote them last.
    changing : RLock
        Held by the thread that changes it, or that builds its index in another folder.
    """

    folder: Path
    shard: edge.EdgeShard
    state: State
    users: int = 0
    changed: bool = False
    damaged: bool = False
    copy: "tempfile.TemporaryDirectory[str] | None" = None
    suspect: bool = False
    updated: str = ""
    changing: "threading.RLock" = field(default_factory=threading.RLock)

    def trust(self, updated: str) -> None:
        """Take the state for unknown if an older cbir has written to the shard since: the metadata's time tells."""
        self.updated = updated
        if self.state.clean and not self.changed and self.state.updated != updated:
            self.state = State()

    def change(self) -> None:
        """Note, before the first change, that it is being changed.

        Raises
        ------
        CollectionError
            It may not be.
        """
        if self.copy is not None:
            raise CollectionError(f"nothing may be written to {self.folder}; check the permissions")
        if not self.changed:
            write_state(self.folder, replace(self.state, clean=False))
            self.changed = True

    def checked(self, *, sound: bool) -> None:
        """Note what a check of all points has found."""
        if self.copy is None and (self.suspect or sound != self.state.clean):
            self.change()  # if it is sound, it is clean once it is closed
        self.damaged, self.suspect = not sound, False

    def close(self) -> None:
        """Write everything to disk, and then that it is all there; before anybody else can open it."""
        try:
            self._remember()
        finally:
            self.shard.close()
            if self.copy is not None:
                self.copy.cleanup()

    def _remember(self) -> None:
        if self.changed:
            self.shard.flush()
        if self.damaged or self.suspect or self.copy is not None:
            return
        if self.changed:
            points, indexed = self.shard.count(edge.CountRequest(exact=True)), self.shard.info().indexed_vectors_count
            self.state = replace(self.state, clean=True, points=points, indexed=indexed, updated=self.updated)
            write_state(self.folder, replace(self.state, files=checksums(self.folder)))
        elif (
            self.state.files and checksums(self.folder) != self.state.files
        ):  # Edge tidies up what the last change left
            self.shard.flush()
            with contextlib.suppress(OSError):
                write_state(self.folder, replace(self.state, files=checksums(self.folder)))


class OpenShards:
    """The shards that this process has open, each counted by its users: Edge lets nobody open one twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, OpenShard] = {}

    def acquire(self, folder: Path, name: str) -> OpenShard:
        """Return the shard in a folder; each call needs one of `release`."""
        with self._lock:
            if folder not in self._open:
                self._open[folder] = _load(folder, name)
            opened = self._open[folder]
            opened.users += 1
            return opened

    def exchange(self, opened: OpenShard, folder: Path, name: str, commit: Callable[[], None]) -> None:
        """Have the users of a shard go on with another that has the same points, and remove the one they had.

        `commit` is called once the new one is open, and while both are: nobody else can open either. If it fails, they
        go on with the one they have, and the new one is removed.
        """
        try:
            with edge_errors(name):
                shard = edge.EdgeShard.load(str(folder))
                found, points = (each.count(edge.CountRequest(exact=True)) for each in (shard, opened.shard))
            if found != points:
                raise CollectionError(f"collection '{name}': its copy has {found:,} points, not {points:,}; try again")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._lock:
            try:
                commit()
            except Exception:  # not after Ctrl-C, which may come when it is done
                shutil.rmtree(folder, ignore_errors=True)
                raise
            before, had = opened.folder, opened.shard
            del self._open[before]
            opened.folder, opened.shard = folder, shard
            self._open[folder] = opened
        shutil.rmtree(before, ignore_errors=True)
        del had  # a search that is in it may end: Edge closes it when nobody has it any more

    def release(self, opened: OpenShard, name: str) -> None:
        """Close a shard if nobody else in this process uses it."""
        with self._lock:
            opened.users -= 1
            if not opened.users:
                del self._open[opened.folder]
                with edge_errors(name):
                    opened.close()

    def users(self, folder: Path) -> int:
        """Return how many users of this process the shard in a folder has."""
        with self._lock:
            return self._open[folder].users if folder in self._open else 0


def _load(folder: Path, name: str) -> OpenShard:
    """Open a shard; in a worker process first, if that may end the process."""
    before = read_state(folder) or State()
    suspect = not before.clean or not is_untouched(folder, before)
    full = folder.is_dir() and free_bytes(folder) < DISK_RESERVE
    if suspect and full and free_bytes(folder) < _LEAST:
        raise CollectionError(
            f"collection '{name}' has to be mended, and there is no room for that: {_no_room(folder)}"
        )
    shard, copy = _loaded(folder, name, probed=suspect or full, full=full)
    if copy is None:
        # Nobody else has it open: what is being built or written there is left by a process that was killed.
        shutil.rmtree(folder / _BUILDING, ignore_errors=True)
        for half in folder.glob(_HALF_WRITTEN):
            half.unlink(missing_ok=True)
    state = read_state(folder) or State()
    if state.clean and not before.clean:  # closed while this process was about to open it
        suspect = False
    return OpenShard(folder, shard, state, copy=copy, suspect=suspect)


open_shards = OpenShards()


def _loaded(
    folder: Path, name: str, *, probed: bool, full: bool
) -> "tuple[edge.EdgeShard, tempfile.TemporaryDirectory[str] | None]":
    """Load a shard, or a copy of one that may not be written; return the copy as well."""
    hint = f"; if this happens again, {how_to_rebuild(name)}"
    try:
        with edge_errors(name, hint):
            if probed:
                # First, as this is tried again and again: somebody may just be writing to it, which is no damage.
                with contextlib.suppress(OSError), held(folder, name):
                    pass
                try_to_open(folder, name, f"; {_no_room(folder)}" if full else hint)
            return edge.EdgeShard.load(str(folder)), None
    except CollectionBusyError:
        raise
    except CollectionError:
        if not folder.is_dir() or may_be_written(folder):
            raise
    copy = copied(folder, name)
    try:
        with edge_errors(name, hint):
            return edge.EdgeShard.load(copy.name), copy
    except BaseException:
        copy.cleanup()
        raise


def who_uses(folder: Path, *, filled_here: bool = False) -> str:
    """Return in words who keeps the collection in a folder, unless this process is the one that fills it."""
    does = "writes to" if is_held(folder / LOCK) and not filled_here else "uses"
    return f"another process that {does} collection '{folder.name}'"


def check_free_space(folder: Path, wanted: int) -> None:
    """Refuse to write `wanted` bytes of vectors to a nearly full disk.

    Raises
    ------
    CollectionError
    """
    free = free_bytes(folder)
    if free < DISK_RESERVE + 4 * wanted:
        raise CollectionError(_no_room(folder))


def _no_room(folder: Path) -> str:
    return (
        f"only {free_bytes(folder) / 1e6:.0f} MB are free at {folder}, and Qdrant needs {DISK_RESERVE / 1e6:.0f} MB to "
        "spare; free some space, or name another place with CBIR_HOME"
    )
