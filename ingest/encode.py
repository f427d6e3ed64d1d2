"""Pixels become features, a batch at a time.

In: batches of pixels and an encoder. Out: batches of points, and with each what
became of the items that need no encoding.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from cbir.collection.point import Payload
from cbir.ingest.read import Batch
from cbir.model.border import background
from cbir.model.codes import codes
from cbir.model.encoder import Encoder


@dataclass(frozen=True)
class Encoded:
    """Points to store, and the batch that they were made from.

    Attributes
    ----------
    ids : list of str
    features : ndarray of float32, shape (n, d)
    payloads : list of Payload
    brightness : ndarray of float32, shape (n,)
        Median border brightness, in [0, 1].
    updated : list of (id, payload)
        Points whose payload has to be replaced.
    unreadable : list of (uri, reason)
    unchanged : int
        Items that are stored as they are.
    """

    ids: list[str]
    features: np.ndarray
    payloads: list[Payload]
    brightness: np.ndarray
    updated: list[tuple[str, Payload]]
    unreadable: list[tuple[str, str]]
    unchanged: int

    def __len__(self) -> int:
        """Number of items."""
        return len(self.ids) + len(self.updated) + len(self.unreadable) + self.unchanged


def encode(batches: Iterable[Batch], encoder: Encoder) -> Iterator[Encoded]:
    """Encode what was read.

    Parameters
    ----------
    batches : iterable of Batch
        Preprocessed for this encoder.
    encoder : Encoder
        Where it has short codes, they go into the payloads.

    Yields
    ------
    Encoded
    """
    for batch in batches:
        features = np.empty((len(batch.ids), encoder.dimension), np.float32)
        brightness = np.empty(len(batch.ids), np.float32)
        fresh = [place for place in range(len(batch.ids)) if place not in batch.made]
        if fresh:
            features[fresh], brightness[fresh] = encoder.encode(batch.pixels), background(batch.pixels)
        for place, made in batch.made.items():
            features[place], brightness[place] = made.feature, made.brightness
        payloads = batch.payloads
        if encoder.code_bits is not None:
            short = codes(features, encoder.code_bits)
            payloads = [{**payload, "code": code} for payload, code in zip(payloads, short, strict=True)]
        yield Encoded(
            ids=batch.ids,
            features=features,
            payloads=payloads,
            brightness=brightness,
            updated=batch.updated,
            unreadable=[(item.uri, reason) for item, reason in batch.unreadable],
            unchanged=batch.unchanged,
        )
