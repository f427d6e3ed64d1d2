"""A query image becomes hits: preprocess, encode, Euclidean search.

In: a collection's name and the model that filled it. Out: hits, closest
first. This is what `cbir.open` returns.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image

from cbir.collection.interface import Collection, CollectionError, Engine, Hit, Info, Label, check_encoder, checked_k
from cbir.core.errors import CbirWarning
from cbir.model.border import background
from cbir.model.bundle import Bundle
from cbir.model.codes import ball, codes
from cbir.model.encoder import Encoder
from cbir.model.errors import ImageError
from cbir.model.modes import invert
from cbir.model.picture import upright
from cbir.search.expansion import expand as expand_queries
from cbir.search.rerank import DEPTH, rerank_hits

#: Pictures that a query may be: a path, a dataset's uri such as `mnist:test/7`, or a Pillow image.
Picture = str | Path | Image.Image

_DIFFERENT = 0.5


class QueryWarning(CbirWarning):
    """The query can be searched, but is unlike what the collection holds."""


class Searcher:
    """Searches one collection.

    Parameters
    ----------
    engine : Engine
        Where the collection is. It is opened when first searched: an embedded
        one can be held by one process at a time.
    name : str
    bundle : Bundle
        The model that filled it.
    open_picture : callable
        Opens a path or uri as a Pillow image.

    Raises
    ------
    CollectionError
        If there is no such collection, or another encoder filled it.

    Examples
    --------
    >>> import cbir
    >>> with cbir.open("digits") as digits:  # doctest: +SKIP
    ...     for hit in digits.search("seven.png", k=3):
    ...         print(hit.label, round(hit.distance, 2))
    """

    def __init__(self, engine: Engine, name: str, bundle: Bundle, open_picture: Callable[[str], Image.Image]) -> None:
        self.name = name
        self.bundle = bundle
        self.metadata = engine.metadata(name)
        self.open_picture = open_picture
        self._engine = engine
        self._collection: Collection | None = None
        self._encoder: Encoder | None = None
        check_encoder(name, self.metadata, bundle.fingerprint, bundle.path)

    @property
    def collection(self) -> Collection:
        """The collection, opened when first needed; CollectionBusyError if another process keeps it."""
        if self._collection is None:
            opened = self._engine.open(self.name)
            try:
                check_encoder(self.name, opened.metadata, self.bundle.fingerprint, self.bundle.path)
            except CollectionError:
                opened.close()  # trained anew since this searcher was made
                raise
            self._collection = opened
        return self._collection

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded when first needed, on one thread: queries come one at a time."""
        if self._encoder is None:
            self._encoder = self.bundle.encoder(threads=1)
        return self._encoder

    def search(
        self,
        picture: Picture,
        k: int = 10,
        *,
        labels: Sequence[Label] | None = None,
        exact: bool = False,
        invert: bool = False,
        prune: int | None = None,
        expand: int = 0,
        rerank: bool = False,
    ) -> list[Hit]:
        """Find the stored images closest to a picture.

        Parameters
        ----------
        picture : str, Path or PIL.Image.Image
        k : int
            The most hits; fewer come from a smaller collection.
        labels : sequence of int or str, optional
            Only points with one of these labels; Qdrant filters while it searches.
        exact : bool
            Compare with every point instead of following the HNSW index.
        invert : bool
            Swap dark and light first.
        prune : int, optional
            Rank only points whose short code differs from the picture's in at most so many bits; fewer than k
            may be left. For an encoder that has short codes.
        expand : int
            Average the picture's feature with those of so many nearest and search again (see
            `cbir.search.expansion`); distances are then to that average. 0: search once.
        rerank : bool
            Put the first hits into a better order by their k-reciprocal neighbours (see `cbir.search.rerank`).

        Returns
        -------
        list of Hit, closest first; re-ranked ones keep their distances, which then do not ascend

        Raises
        ------
        ImageError
            The picture cannot be read.
        CollectionError
            k below 1, expand below 0, or no short codes to prune by.
        ModelError
            A number of bits that cannot be looked up.
        """
        return self.search_many(
            [picture], k, labels=labels, exact=exact, invert=invert, prune=prune, expand=expand, rerank=rerank
        )[0]

    def search_many(
        self,
        pictures: Sequence[Picture],
        k: int = 10,
        *,
        labels: Sequence[Label] | None = None,
        exact: bool = False,
        invert: bool = False,
        prune: int | None = None,
        expand: int = 0,
        rerank: bool = False,
    ) -> list[list[Hit]]:
        """Search several pictures as one batch; see `search`."""
        features = self.embed_many(pictures, invert=invert)
        where = {} if labels is None else {"label": labels}
        balls = None if prune is None else self._balls(features, prune)
        if expand:
            features = expand_queries(self.collection, features, expand, where=where, exact=exact)
        depth = max(checked_k(k), DEPTH) if rerank else k
        if balls is None:
            found = self.collection.search_batch(features, depth, where=where, exact=exact)
        else:
            # Each query has a filter of its own.
            found = [
                self.collection.search(feature, depth, where={**where, "code": near}, exact=exact)
                for feature, near in zip(features, balls, strict=True)
            ]
        return [hits[:k] for hits in rerank_hits(self.collection, features, found)] if rerank else found

    def _balls(self, features: np.ndarray, radius: int) -> list[list[int]]:
        """Return, for each feature, the short codes within `radius` bits of its own."""
        bits = self.encoder.code_bits
        if bits is None:
            raise CollectionError(
                f"collection '{self.name}' has no short codes to prune by; fill one that has: "
                "cbir ingest SOURCE --encoder deep-autoencoder --collection NAME"
            )
        return [ball(code, bits, radius) for code in codes(features, bits)]

    def embed(self, picture: Picture, *, invert: bool = False) -> np.ndarray:
        """Return a picture's feature, (d,) float32."""
        return self.embed_many([picture], invert=invert)[0]

    def embed_many(self, pictures: Sequence[Picture], *, invert: bool = False) -> np.ndarray:
        """Return features of several pictures, (n, d) float32."""
        if isinstance(pictures, str | Path | Image.Image):
            raise ImageError("several pictures are asked for: put a single one into a list")
        pixels = [self.pixels(picture, invert=invert) for picture in pictures]
        for picture, seen in zip(pictures, pixels, strict=True):
            self._warn(picture, seen)
        shape = (0, *self.bundle.preprocessing.shape)
        return self.encoder.encode(np.stack(pixels) if pixels else np.empty(shape, np.uint8))

    def pixels(self, picture: Picture, *, invert: bool = False) -> np.ndarray:
        """Return what the encoder sees of a picture, (h, w, c) uint8."""
        if not isinstance(picture, str | Path | Image.Image):
            raise ImageError(f"a query is a path, a uri or a Pillow image, not a {type(picture).__name__}")
        image = upright(picture) if isinstance(picture, Image.Image) else self.open_picture(str(picture))
        return self.bundle.preprocessing.pixels(_inverted(image) if invert else image)

    def info(self) -> Info:
        """Tell the collection's size and place."""
        return self.collection.info()

    def close(self) -> None:
        """Close the collection; searching again opens it again."""
        if self._collection is not None:
            self._collection.close()
            self._collection = None
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _warn(self, picture: Picture, pixels: np.ndarray) -> None:
        name = "the query" if isinstance(picture, Image.Image) else str(picture)
        if pixels.min() == pixels.max():
            warnings.warn(f"{name} is one plain colour: every result is as good as any", QueryWarning, stacklevel=4)
            return
        if self.metadata.background is None:
            return
        mean, deviation, _ = self.metadata.background
        brightness = float(background(pixels[None])[0])
        # Photographs have backgrounds of all kinds (a wide deviation): nothing to warn of.
        if abs(brightness - mean) > _DIFFERENT and deviation < _DIFFERENT / 2:
            found, usual = ("light", "dark") if brightness > mean else ("dark", "light")
            warnings.warn(
                f"{name} has a {found} background, the collection's images a {usual} one; "
                "search with --invert (in Python: invert=True) to swap dark and light",
                QueryWarning,
                stacklevel=4,
            )


_inverted = invert  # the methods above have an argument of that name
