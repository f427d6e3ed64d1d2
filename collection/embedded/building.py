"""The HNSW index of a shard: whether it pays, and how it is built, at once or in steps.

It is built beside the shard: in a copy of its folder, by a worker process, and then the copy takes the shard's place.
Qdrant Edge (0.9.0) holds Python's lock while it builds, for minutes where there are many points: done here, no thread
could search, show how far it is, or see Ctrl-C. And what ends the process that builds, a full disk or too little
memory, leaves this one and its shard alone.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from cbir.collection.embedded.shards import DISK_RESERVE, OpenShard, edge_errors, new_folder, open_shards
from cbir.collection.errors import CollectionError
from cbir.core.atomic import folder_to_disk
from cbir.core.disk import check_room, copy_folder, size_on_disk
from cbir.core.processes import Processes

#: Stored values (points x dimension) above which the HNSW graph is worth building: 20 MB, about what Qdrant's server
#: takes for it. At 60,000 x 128 it takes 8 to 14 s, less than learning or encoding so many pictures. One search takes
#: 1 ms instead of 3; with eight clients of `cbir serve` a request takes 2.5 ms of processor time instead of 6.
INDEX_PAYS_ABOVE = 5_000_000
#: New values that are worth a step of the index while points are loaded, 51 MB: of 128 values each, 100,000 points take
#: 20 s of processor time, whether 100,000 are there already or none.
INDEX_STEP = 12_800_000
#: Seconds that building may take: a week, which is years of points.
_SECONDS = 7 * 86_400.0
#: Sizes of the shard that must be free: its copy, and segments that are written anew before the old ones go.
_TIMES = 2


class Building:
    """The index of an open shard.

    Parameters
    ----------
    opened : OpenShard
    name : str
        The collection's.
    dimension : int
    named : callable
        Called with the folder that has taken the shard's place, before anybody uses it; if it fails, none has.
    """

    def __init__(self, opened: OpenShard, name: str, dimension: int, named: Callable[[Path], None]) -> None:
        self._opened = opened
        self._name = name
        self._dimension = dimension
        self._named = named
        #: Whether it is built as points come, and how many values may have come since.
        self._in_steps, self._unindexed = False, 0
        #: What builds it, and whether it does; once that is closed, nothing is built any more.
        self._builder, self._building = Processes(1), False

    def pays(self) -> bool:
        """Tell whether it would save more than it costs, and is not there yet."""
        with edge_errors(self._name):
            shard = self._opened.shard.info()
        pays = shard.points_count * self._dimension > INDEX_PAYS_ABOVE
        return pays and shard.indexed_vectors_count < 0.9 * shard.points_count

    def in_steps(self, wanted: bool) -> None:
        """Bring it up to date as points come, or not."""
        self._in_steps = wanted
        self._unindexed = INDEX_STEP  # not known: asked for with the next points

    def step(self, values: int) -> None:
        """Bring it up to date if that is wanted and enough values are new; if it cannot be, it is left for later."""
        self._unindexed += values
        if not self._in_steps or self._unindexed < INDEX_STEP:
            return
        shard = self._opened.shard.info()
        self._unindexed = (shard.points_count - shard.indexed_vectors_count) * self._dimension
        if self._unindexed >= INDEX_STEP:
            with contextlib.suppress(CollectionError):
                self.build()
            self._unindexed = 0

    def build(self) -> None:
        """Bring it up to date; nobody may change the shard meanwhile.

        Raises
        ------
        CollectionError
            There is no room for it, it was ended, or Edge cannot. Then nothing has changed.
        """
        self._building = True
        try:
            with edge_errors(self._name):
                self._opened.shard.flush()
                built = self._built_beside(self._opened.folder)
                open_shards.exchange(self._opened, built, self._name, lambda: self._named(built))
        finally:
            self._building = False

    @contextlib.contextmanager
    def ended(self) -> Iterator[None]:
        """End what is built in another thread, and keep it from being built in this block, and afterwards."""
        self._builder.close()
        with self._opened.changing if self._building else contextlib.nullcontext():
            yield

    def _built_beside(self, shard: Path) -> Path:
        """Return a new folder beside a shard, with the same points and their index; nothing is left of a failure."""
        check_room(shard.parent, _TIMES * size_on_disk(shard) + DISK_RESERVE)
        built = new_folder(shard.parent)
        try:
            self._builder.call(_SECONDS, _build, shard, built)
        except BaseException:
            shutil.rmtree(built, ignore_errors=True)
            raise
        return built


def _build(shard: Path, built: Path) -> None:
    import qdrant_edge as edge

    copy_folder(shard, built)
    opened = edge.EdgeShard.load(str(built))
    opened.optimize()
    opened.flush()
    opened.close()
    folder_to_disk(built)  # before what it is a copy of goes: Edge does not sync what it only reads
