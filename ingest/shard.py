"""One worker's share of an ingest: some of a source's items are compared, read, encoded and stored.

A share and its result can be pickled, so that any process that can open the
collection can do the work; results are added up. An ingest in one process is
one share.
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
from cbir.ingest.read import Made, read
from cbir.ingest.smooth import smooth
from cbir.ingest.sources.source import Source
from cbir.ingest.store import Stored, store
from cbir.ingest.sync import compare
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
    """

    source: Source
    start: int
    stop: int
    model: Path


def ingest_share(
    share: Share,
    collection: Collection,
    *,
    made: Mapping[str, Made] = MappingProxyType({}),
    progress: Progress = silent,
) -> Generator[Stored, None, None]:
    """Encode the items of a share that are new or changed, and store them.

    Parameters
    ----------
    share : Share
    collection : Collection
        Its metadata say with how many nearest a feature is averaged.
    made : Mapping
        Ids of items to what learning the encoder made of them.
    progress : Progress
        Stages `encode`, `smooth`.

    Yields
    ------
    Stored
        After each batch that was stored; their sum is the result of the share.
    """
    encoder = read_bundle(share.model).encoder()
    items = islice(share.source.items(), share.start, share.stop)
    with closing(read(compare(items, collection), encoder.preprocessing, made)) as pictures:
        batches = _reported(encode(pictures, encoder), share.stop - share.start, progress)
        if collection.metadata.smooth:
            batches = smooth(batches, collection, collection.metadata.smooth, progress=progress)
        clock = time.perf_counter()
        for batch in batches:
            waited = time.perf_counter() - clock
            yield replace(store(batch, collection), encode_seconds=waited)
            clock = time.perf_counter()


def _reported(batches: Iterable[Encoded], total: int, progress: Progress) -> Iterator[Encoded]:
    """Report each batch once the consumer comes back for the next."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        progress("encode", done, total)
    progress("encode", done, total)
