"""How an encoder sees a picture, and what noise does to that: the article's denoising, a picture at a time.

In: a collection, a picture, how much noise. Out: `Seen`. What does not depend on the noise is kept for a while, so that
a slider is followed at once. Restoring runs a graph; Keras is not imported.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from cbir.model.errors import ModelError
from cbir.model.preprocessing import to_bytes, to_unit
from cbir.model.restoring import restoring
from cbir.search.options import SearchOptions
from cbir.serve.kept import Kept
from cbir.serve.uploads import NAME

if TYPE_CHECKING:
    from cbir.collection.point import Hit
    from cbir.model.method import Inference
    from cbir.search.searcher import Searcher
    from cbir.serve.schemas import Weighed
    from cbir.serve.state import State

#: Neighbours that are looked at, and those that are shown.
LOOKED, SHOWN = 100, 10
_KEPT_BYTES = 32 << 20
#: As in the article, where a model does not say how much noise it learned with.
USUAL_NOISE = 0.5


@dataclass(frozen=True)
class Clean:
    """What does not depend on the noise: pixels (h, w, c) uint8, steps to them, the feature (d,), nearest ids."""

    pixels: np.ndarray
    steps: tuple[str, ...]
    feature: np.ndarray
    nearest: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """How a picture is seen under noise.

    Attributes
    ----------
    clean : Clean
    noisy : ndarray of uint8, shape (h, w, c)
    restored : ndarray of uint8, shape (h, w, c), or None
        What the autoencoder makes of `noisy`.
    why_not : str
        Why there is none, in words; empty if there is one.
    feature : ndarray of float32, shape (d,)
        Of `noisy`.
    hits : list of Hit
        Nearest to that, `LOOKED` at the most.
    rank : int or None
        Where the picture itself is among these, from 1 on; None: not there, or it is not a stored one.
    """

    clean: Clean
    noisy: np.ndarray
    restored: np.ndarray | None
    why_not: str
    feature: np.ndarray
    hits: list[Hit]
    rank: int | None


class Seeing:
    """What is kept from one request to the next; threads share it."""

    def __init__(self) -> None:
        self._clean: Kept[Clean] = Kept(_KEPT_BYTES)
        self._lock = threading.Lock()
        #: Goes with the searcher: when the collection gets another encoder, or is removed.
        self._restoring: WeakKeyDictionary[Searcher, Inference | None] = WeakKeyDictionary()

    def seen(self, served: State, searcher: Searcher, example: Weighed, noise: float, seed: int) -> Seen:
        """Look at a picture under noise; errors as of `Uploads` and `Pictures`."""
        clean = self._of(served, searcher, example)
        generator = np.random.default_rng(seed)
        drawn = generator.standard_normal(clean.pixels.shape, dtype=np.float32)
        noisy = to_bytes(to_unit(clean.pixels) + np.float32(noise) * drawn)
        feature = served.encoding(searcher).encode(noisy)
        hits = searcher.search_many([feature], options=SearchOptions(k=LOOKED))[0]
        own = example.id if example.box is None else None
        rank = next((place for place, hit in enumerate(hits, 1) if hit.id == own), None)
        restored, why_not = self._restored(searcher, noisy)
        return Seen(clean, noisy, restored, why_not, feature, hits, rank)

    def _of(self, served: State, searcher: Searcher, example: Weighed) -> Clean:
        known = searcher.metadata
        key = searcher.name, known.fingerprint, known.updated, example.id, example.upload, example.box
        clean = self._clean.get(key)
        if clean is None:
            preprocessing = searcher.bundle.preprocessing
            if example.id is not None:
                pixels, steps = served.pictures.explained(searcher, example.id, preprocessing, example.box)
            else:
                upload = served.uploads.get(example.upload or "")
                pixels, steps = served.decoding.explained(upload.content, NAME, preprocessing, example.box)
            feature = served.encoding(searcher).encode(pixels)
            hits = searcher.search_many([feature], options=SearchOptions(k=SHOWN))[0]
            clean = Clean(pixels, tuple(steps), feature, tuple(hit.id for hit in hits))
            self._clean.put(key, clean, pixels.nbytes + feature.nbytes)
        return clean

    def _restored(self, searcher: Searcher, noisy: np.ndarray) -> tuple[np.ndarray | None, str]:
        bundle = searcher.bundle
        try:
            with self._lock:
                if searcher not in self._restoring:
                    self._restoring[searcher] = restoring(bundle)
                run = self._restoring[searcher]
            if run is None:
                return None, f"The encoder '{bundle.kind}' has no decoder: it makes features of pictures, not pictures."
            return to_bytes(run(bundle.preprocessing.inputs(noisy[None]))[0]), ""
        except ModelError as error:
            return None, str(error)
