"""One worker's share of an ingest: some of a source's items are compared, read, encoded and stored.

A share and its result can be pickled, so that any process that can open the
collection can do the work; results are added up. An ingest in one process is
one share, and what is no longer so is settled afterwards, by one process. What
has to be read after the comparison is the `Work` of a loop: `here`, in this
process, or `cbir.ingest.distributed.loop.OnRay`, on many machines.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from cbir.collection.interface import Collection
from cbir.core.progress import Progress, silent
from cbir.core.workers import ordered_map
from cbir.ingest.encode import Encoded, encode
from cbir.ingest.gone import Gone
from cbir.ingest.places import Places
from cbir.ingest.read import Failed, Made, read
from cbir.ingest.report import Log, silent_log
from cbir.ingest.smooth import smooth
from cbir.ingest.sources.source import Item, Source
from cbir.ingest.store import Stored, skipped, store
from cbir.ingest.sync import Status, compare
from cbir.ingest.unreadable import Unreadable
from cbir.model.bundle import read_bundle

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Share:
    """Which items to ingest, and the model that encodes them.

    Attributes
    ----------
    source : Source
        Under the name that the collection knows it by.
    start, stop : int
        From this item up to, but not including, that one.
    model : Path
        The bundle that fills the collection (the caller has checked).
    checksum : bool
        Read every file, whatever its stamp.
    """

    source: Source
    start: int
    stop: int
    model: Path
    checksum: bool = False

    def items(self) -> Iterator[Item]:
        """Yield the items."""
        return islice(self.source.items(), self.start, self.stop)

    @property
    def whole(self) -> bool:
        """Whether these are all items of the source."""
        return self.start == 0 and self.stop >= len(self.source)

    def __len__(self) -> int:
        """Number of items."""
        return self.stop - self.start


@dataclass(frozen=True)
class Work:
    """What a share needs after its items were compared with the collection.

    Attributes
    ----------
    share : Share
    statuses : bytearray
        A `cbir.ingest.sync.Status` for each item.
    collection : Collection
    places : Places
    made : Mapping
    log : Log
    unreadable : Unreadable or None
    progress : Progress
        As of `ingest_share`.
    """

    share: Share
    statuses: bytearray
    collection: Collection
    places: Places
    made: Mapping[str, Made]
    log: Log
    unreadable: Unreadable | None
    progress: Progress

    def items(self) -> Iterator[tuple[int, Item, Status]]:
        """Yield number, item and status of what has to be read or described anew."""
        compared = enumerate(zip(self.share.items(), map(Status, self.statuses), strict=False), self.share.start)
        return ((n, item, status) for n, (item, status) in compared if status in (Status.READ, Status.DESCRIBED))

    @property
    def total(self) -> int:
        """Number of these items."""
        return self.statuses.count(Status.READ) + self.statuses.count(Status.DESCRIBED)

    def gone(self) -> Gone:
        """Return what knows whether a stored place still has its file."""
        return Gone(self.share.source, self.collection.metadata, complete=self.share.whole)


#: Does the work; yields what was done with some items, as `ingest_share` does.
Loop = Callable[[Work], Generator[Stored, None, None]]


def ingest_share(
    share: Share,
    collection: Collection,
    places: Places,
    *,
    made: Mapping[str, Made] = MappingProxyType({}),
    log: Log = silent_log,
    unreadable: Unreadable | None = None,
    loop: Loop | None = None,
    progress: Progress = silent,
) -> Generator[Stored, None, None]:
    """Encode the contents of a share that are new, and store them; note where the others are.

    Parameters
    ----------
    share : Share
    collection : Collection
        Its metadata say with how many nearest a feature is averaged.
    places : Places
        What the collection holds; notes what is stored from now on.
    made : Mapping
        `cbir.ingest.read.key` of pictures to what learning the encoder made of them.
    log : Log
        Is told of items that are skipped or moved.
    unreadable : Unreadable, optional
        Files that could not be read before; notes others.
    loop : callable, optional
        What reads, encodes and stores; by default `here`.
    progress : Progress
        Stages `compare`, `encode`, `smooth`.

    Yields
    ------
    Stored
        After the comparison, and after each batch that was stored; their sum is the result of the share.
    """
    passed = Stored()

    def skip(item: Item) -> bool:
        nonlocal passed
        problem = None if unreadable is None or share.checksum else unreadable.problem(item)
        if problem is not None:
            passed += skipped(Failed(item, problem), log)
        return problem is not None

    statuses = compare(share.items(), places, total=len(share), checksum=share.checksum, skip=skip, progress=progress)
    passed += Stored(unchanged=statuses.count(Status.UNCHANGED))
    yield passed
    work = Work(share, statuses, collection, places, made, log, unreadable, progress)
    if work.total:
        yield from (loop or here)(work)


def here(work: Work) -> Generator[Stored, None, None]:
    """Read, encode and store in this process, its threads and its worker processes; parameters as of `Loop`."""
    encoder = read_bundle(work.share.model).encoder()
    items = ((item, status) for _, item, status in work.items())
    with closing(read(items, encoder.preprocessing, work.places, work.made)) as pictures:
        batches, total, progress = encode(pictures, encoder), work.total, work.progress
        smoothed = work.collection.metadata.smooth
        if smoothed:
            batches = smooth(_reported(batches, len, total, progress), work.collection, smoothed, progress=progress)
        # While a batch is stored, the next one is encoded; but what is smoothed looks at what is stored by then.
        storing = _Storing(
            partial(
                store,
                collection=work.collection,
                places=work.places,
                gone=work.gone(),
                log=work.log,
                unreadable=work.unreadable,
            )
        )
        with closing(ordered_map(storing, _timed(batches), threads=1, ahead=0 if smoothed else 1)) as stored:
            yield from stored if smoothed else _reported(stored, attrgetter("items"), total, progress)


class _Storing:
    """Stores batches until one cannot be stored: what follows may build on it."""

    def __init__(self, store: Callable[[Encoded], Stored]) -> None:
        self._store = store
        self._failed = False

    def __call__(self, timed: tuple[Encoded, float]) -> Stored:
        batch, seconds = timed
        if self._failed:
            return Stored()
        self._failed = True
        stored = self._store(batch)
        self._failed = False
        return replace(stored, encode_seconds=seconds)


def _timed(batches: Iterable[Encoded]) -> Iterator[tuple[Encoded, float]]:
    """Yield each batch with the seconds that were waited for it."""
    clock = time.perf_counter()
    for batch in batches:
        yield batch, time.perf_counter() - clock
        clock = time.perf_counter()


def _reported(parts: Iterable[_Part], items: Callable[[_Part], int], total: int, progress: Progress) -> Iterator[_Part]:
    """Report the items of each part once the consumer comes back for the next."""
    done = 0
    for part in parts:
        yield part
        done += items(part)
        progress("encode", done, total)
    progress("encode", done, total)
