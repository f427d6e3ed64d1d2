"""The loop of an ingest: read, encode, smooth where that is asked for, upsert.

In: items, an encoder, an open collection. Out: what was stored, what was there
already, what could not be read. Stopped at any moment, what has been stored
stays, and the next run goes on with the rest.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from cbir.collection.interface import Collection
from cbir.collection.point import Payload, same_payload
from cbir.core.progress import Progress, silent
from cbir.ingest.encoded import Encoded
from cbir.ingest.read import BATCH, read
from cbir.ingest.smooth import smooth
from cbir.ingest.sources.source import Item
from cbir.model.border import background
from cbir.model.codes import codes
from cbir.model.encoder import Encoder


@dataclass
class Stored:
    """What a run did.

    Attributes
    ----------
    ingested, unchanged : int
        Points written, and points found already there as they are.
    unreadable : list of (uri, reason)
    brightness : list of ndarray
        Median border brightness of the ingested images, in [0, 1].
    encode_seconds, upsert_seconds : float
        Time waited for pixels and features (averaged ones, if they are smoothed), and for Qdrant.
    """

    ingested: int = 0
    unchanged: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    brightness: list[np.ndarray] = field(default_factory=list)
    encode_seconds: float = 0.0
    upsert_seconds: float = 0.0


def store(
    items: Iterable[Item],
    encoder: Encoder,
    collection: Collection,
    source: str,
    done: Stored,
    *,
    total: int | None = None,
    progress: Progress = silent,
) -> None:
    """Encode the items that are new or changed and upsert them.

    Parameters
    ----------
    items : iterable of Item
    encoder : Encoder
        The one the collection was made for (the caller has checked).
    collection : Collection
        Its metadata tell with how many nearest a feature is averaged.
    source : str
        Goes into each payload.
    done : Stored
        Told what has been done, batch by batch, so that it holds also when stopped.
    total : int, optional
        Number of items, for the progress.
    progress : Progress
        Stages `encode`, `smooth`.
    """
    batches = _encoded(items, encoder, collection, source, done, total, progress)
    if collection.metadata.smooth:
        batches = smooth(batches, collection, collection.metadata.smooth, progress=progress)
    clock = time.perf_counter()
    for batch in batches:
        done.encode_seconds += time.perf_counter() - clock
        clock = time.perf_counter()
        collection.upsert(batch.ids, batch.features, batch.payloads)
        done.upsert_seconds += time.perf_counter() - clock
        clock = time.perf_counter()
        done.ingested += len(batch.ids)
        done.brightness.append(batch.brightness)


def _encoded(
    items: Iterable[Item],
    encoder: Encoder,
    collection: Collection,
    source: str,
    done: Stored,
    total: int | None,
    progress: Progress,
) -> Iterator[Encoded]:
    """Read and encode, and tell how far that is."""
    count = 0
    for batch in read(_changed(items, collection, source, done), encoder.preprocessing):
        done.unreadable += [(item.uri, reason) for item, reason in batch.unreadable]
        if batch.items:
            features = encoder.encode(batch.pixels)
            payloads = [_payload(item, source) for item in batch.items]
            if encoder.code_bits is not None:
                for payload, code in zip(payloads, codes(features, encoder.code_bits), strict=True):
                    payload["code"] = code
            yield Encoded([item.id for item in batch.items], features, payloads, background(batch.pixels))
        count += len(batch.items)
        progress("encode", count + done.unchanged + len(done.unreadable), total)
    progress("encode", count + done.unchanged + len(done.unreadable), total)


def _changed(items: Iterable[Item], collection: Collection, source: str, done: Stored) -> Iterator[Item]:
    """Pass on what is not stored yet, or was stored from another picture or label."""
    upcoming = iter(items)
    while batch := list(islice(upcoming, BATCH)):
        stored = collection.payloads([item.id for item in batch])
        for item in batch:
            if same_payload(stored.get(item.id), _payload(item, source)):
                done.unchanged += 1
            else:
                yield item


def _payload(item: Item, source: str) -> Payload:
    label = {} if item.label is None else {"label": item.label}
    return {**label, "uri": item.uri, "source": source, **item.payload}
