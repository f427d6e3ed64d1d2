"""The pictures that encoders learn from, read once for all encoders that see them alike.

In: a source. Out: the preprocessing that suits an encoder, and pixels under it.
Held at a time are the pixels of one preprocessing, at most as many as a
training takes (`cbir.ingest.learn.images_to_learn`). 120 pictures and three
encoders take 584 openings: 120 for this, 360 to encode, 104 to draw the line-up.
"""

from contextlib import closing
from dataclasses import replace
from itertools import islice

import numpy as np

from cbir.core.progress import Progress
from cbir.ingest.learn import images_to_learn
from cbir.ingest.read import read_pixels
from cbir.ingest.sample import Sample, take_sample
from cbir.ingest.sources.source import Source
from cbir.model.kind import Kind


class SharedPixels:
    """Pixels of one source.

    Parameters
    ----------
    source : Source
    limit : int, optional
        The most images that are stored, or learned from.
    """

    def __init__(self, source: Source, limit: int | None = None) -> None:
        self._source = source
        self._limit = limit
        self._sample: Sample | None = None
        self._complete = False

    def sample(self, kind: Kind, *, learning: bool, progress: Progress) -> Sample:
        """Return an encoder's preprocessing, and pixels under it.

        Parameters
        ----------
        kind : Kind
        learning : bool
            The encoder is to be learned: if it learns from pictures, their pixels are all there. Else only those
            pictures are read that choose the preprocessing.
        progress : Progress
            Stage `read`.
        """
        if self._sample is None:
            self._sample = take_sample(self._source, kind, keep_pixels=True)
        chosen = kind.preprocessing(self._sample.suited)
        if chosen != self._sample.preprocessing:
            self._sample = replace(self._sample, preprocessing=chosen, pixels={}, hashes={})
            self._complete = False
        if self._sample.kind != kind:
            self._sample = replace(self._sample, kind=kind)
        if learning and kind.learns_from != "nothing" and not kind.streams and not self._complete:
            self._sample = replace(self._sample, pixels=self._read(self._sample, progress))
            self._complete = True
        return self._sample

    def some(self, kind: Kind, count: int, progress: Progress) -> np.ndarray:
        """Return pixels to measure the speed with, (count, h, w, c) uint8: those at hand, repeated if too few."""
        sample = self.sample(kind, learning=False, progress=progress)
        known = [pixels for pixels in sample.pixels.values() if pixels is not None][:count]
        if not known:
            pictures = read_pixels(islice(self._source.items(), self._limit), sample.preprocessing)
            known = [pixels for _, pixels in islice(pictures, count) if pixels is not None]
        return np.resize(np.stack(known), (count, *sample.preprocessing.shape))

    def _read(self, sample: Sample, progress: Progress) -> dict[int, np.ndarray | None]:
        """Read the pictures that were not read yet; each number keeps its pixels."""
        count = images_to_learn(self._source, self._limit, sample.kind, sample.preprocessing)
        if count < len(self._source):  # learning takes others then
            return dict(sample.pixels)
        items = self._source.items()
        reading = read_pixels(items, sample.preprocessing, sample.pixels, total=count, progress=progress)
        with closing(reading) as pictures:
            return dict(enumerate(pixels for _, pixels in pictures))
