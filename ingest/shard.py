"""One worker's share of an ingest: some of a source's items are compared, read, encoded and stored.

A share and its result can be pickled, so that any process that can open the
collection can do the work; results are added up. An ingest in one process is
one share, and what is no longer so is settled afterwards, by one process.
"""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from cbir.collection.interface import Collection
from cbir.core.progress import Progress, silent
from cbir.ingest.encode import Encoded, encode
from cbir.ingest.gone import Gone
from cbir.ingest.places import Places
from cbir.ingest.read import Made, read
from cbir.ingest.report import Log, silent_log
from cbir.ingest.smooth import smooth
from cbir.ingest.sources.source import Item, Source
from cbir.ingest.store import Stored, store
from cbir.ingest.sync import Status, compare
from cbir.model.bundle import read_bundle


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


def ingest_share(
    share: Share,
    collection: Collection,
    places: Places,
    *,
    made: Mapping[str, Made] = MappingProxyType({}),
    log: Log = silent_log,
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
    progress : Progress
        Stages `compare`, `encode`, `smooth`.

    Yields
    ------
    Stored
        After the comparison, and after each batch that was stored; their sum is the result of the share.
    """
    statuses = compare(share.items(), places, total=len(share), checksum=share.checksum, progress=progress)
    unchanged = statuses.count(Status.UNCHANGED)
    yield Stored(unchanged=unchanged)
    if unchanged == len(statuses):
        return
    encoder = read_bundle(share.model).encoder()
    gone = Gone(share.source, collection.metadata, complete=share.whole)
    compared = zip(share.items(), map(Status, statuses), strict=False)
    work = ((item, status) for item, status in compared if status is not Status.UNCHANGED)
    with closing(read(work, encoder.preprocessing, places, made)) as pictures:
        batches = _reported(encode(pictures, encoder), len(statuses) - unchanged, progress)
        if collection.metadata.smooth:
            batches = smooth(batches, collection, collection.metadata.smooth, progress=progress)
        clock = time.perf_counter()
        for batch in batches:
            waited = time.perf_counter() - clock
            yield replace(store(batch, collection, places, gone, log), encode_seconds=waited)
            clock = time.perf_counter()


def _reported(batches: Iterable[Encoded], total: int, progress: Progress) -> Iterator[Encoded]:
    """Report each batch once the consumer comes back for the next."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        progress("encode", done, total)
    progress("encode", done, total)
