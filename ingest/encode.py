"""Pixels become features, a batch at a time.

In: batches of pixels and an encoder. Out: the same batches, with the features
of what has to be stored.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cbir.ingest.read import Batch
from cbir.model.border import background
from cbir.model.codes import codes
from cbir.model.encoder import Encoder


@dataclass(frozen=True)
class Encoded:
    """What became of some items, with the features of those to store.

    Attributes
    ----------
    batch : Batch
    features : ndarray of float32, shape (n, d)
        Of `batch.fresh`.
    brightness : ndarray of float32, shape (n,)
        Median border brightness, in [0, 1].
    codes : sequence of int, or None
        Short codes, where the encoder has them.
    """

    batch: Batch
    features: np.ndarray
    brightness: np.ndarray
    codes: Sequence[int] | None = None

    @property
    def ids(self) -> list[str]:
        """Ids of the points to store."""
        return [fresh.id for fresh in self.batch.fresh]

    def __len__(self) -> int:
        """Number of items."""
        return len(self.batch)


def encode(batches: Iterable[Batch], encoder: Encoder) -> Iterator[Encoded]:
    """Encode what was read.

    Parameters
    ----------
    batches : iterable of Batch
        Preprocessed for this encoder.
    encoder : Encoder

    Yields
    ------
    Encoded
    """
    for batch in batches:
        features = np.empty((len(batch.fresh), encoder.dimension), np.float32)
        brightness = np.empty(len(batch.fresh), np.float32)
        fresh = [place for place in range(len(batch.fresh)) if place not in batch.made]
        if fresh:
            features[fresh], brightness[fresh] = encoder.encode(batch.pixels), background(batch.pixels)
        for place, made in batch.made.items():
            features[place], brightness[place] = made.feature, made.brightness
        short = None if encoder.code_bits is None else codes(features, encoder.code_bits)
        yield Encoded(batch, features, brightness, short)
