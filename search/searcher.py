"""A query becomes hits: preprocess, encode, search by Euclidean distance.

In: a collection's name and the model that filled it. Out: hits, closest first. This is what `cbir.open` returns.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Self, Unpack

import numpy as np
from PIL import Image

from cbir.collection.checks import check_encoder, validated_k
from cbir.collection.errors import CollectionError, NoSuchPointError
from cbir.collection.filter import Among, Filter
from cbir.collection.interface import Collection, Engine, Info
from cbir.collection.point import Hit, Payload, is_point_id
from cbir.core.progress import Progress, silent
from cbir.core.turn import one_call
from cbir.core.workers import each
from cbir.model.bundle import Bundle
from cbir.model.codes import ball, codes
from cbir.model.encoder import Encoder
from cbir.model.modes import invert
from cbir.model.picture import upright
from cbir.model.words import TextEncoder
from cbir.search import stages
from cbir.search.combination import combined
from cbir.search.itself import itself
from cbir.search.missing import present_first
from cbir.search.neighbours import CollectionNeighbours, without
from cbir.search.options import SearchKeywords, SearchOptions, search_options
from cbir.search.order import check_sort, in_order
from cbir.search.piped import open_query
from cbir.search.places import located_places, opened
from cbir.search.query import (
    Picture,
    Query,
    QueryError,
    Single,
    StoredPoint,
    Weighed,
    Words,
    asked,
    is_picture,
    terms_of,
    validated_feature,
    validated_queries,
)
from cbir.search.shared import SharedCollection
from cbir.search.terms import parse
from cbir.search.unlike import warn_of_unlike
from cbir.search.words import refusal


class Searcher:
    """Searches one collection. Threads may share it; none waits for another but to open the collection or a model.

    Parameters
    ----------
    engine : Engine
        Where the collection is. It is opened when first searched: an embedded
        one can be held by one process at a time.
    name : str
    bundle : Bundle
        The model that filled it.
    open_picture : callable
        Opens a path or uri as a Pillow image; with the keyword `enough`, no larger than that needs
        (`Preprocessing.enough`). Of what is in object storage, `stored` is the payload of the point, whose shard it
        may lie in.
    progress : Progress
        Called while what encodes words is downloaded, at the first search by words; stage `download`.

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

    def __init__(
        self,
        engine: Engine,
        name: str,
        bundle: Bundle,
        open_picture: Callable[..., Image.Image],
        progress: Progress = silent,
    ) -> None:
        self.name = name
        self.bundle = bundle
        self.metadata = engine.metadata(name)
        self.open_picture = open_picture
        self._engine = engine
        self._shared = SharedCollection(name, self._opened, engine.close)
        self._encoder: Encoder | None = None
        self._text_encoder: TextEncoder | None = None
        self._progress = progress
        #: Held to load what encodes, which may take seconds, and so is no business of those who search.
        self._loading, self._loading_words = threading.Lock(), threading.Lock()
        check_encoder(name, self.metadata, bundle.fingerprint, bundle.path)

    @property
    def collection(self) -> Collection:
        """The collection, opened when first needed; CollectionBusyError if another process keeps it."""
        return self._shared.collection

    @property
    def closed(self) -> bool:
        """Whether `close` was called, which waits for whoever uses the collection: what takes long should end."""
        return self._shared.closed

    def used(self) -> AbstractContextManager[Collection]:
        """Keep the collection open for a block: `release` and `close` of another thread wait for its end."""
        return self._shared.used()

    def _opened(self) -> Collection:
        opened = self._engine.open(self.name)
        try:
            check_encoder(self.name, opened.metadata, self.bundle.fingerprint, self.bundle.path)
        except CollectionError:
            opened.close()  # retrained since this searcher was made
            raise
        # Another process may have ingested since this searcher was made, or closed.
        self.metadata = opened.metadata
        return opened

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded when first needed, on one thread: queries come one at a time."""
        with self._loading:
            if self._encoder is None:
                self._encoder = self.bundle.encoder(threads=1)
            return self._encoder

    @property
    def text_encoder(self) -> TextEncoder:
        """What encodes words, made when first needed; QueryError if the collection's encoder has no text tower."""
        with self._loading_words:
            if self._text_encoder is None:
                self._text_encoder = self.bundle.text_encoder(self._progress)
            if self._text_encoder is None:
                raise QueryError(refusal(self.name, self.metadata, self.bundle))
            return self._text_encoder

    def parse(self, arguments: Sequence[str], *, text: bool = False, datasets: Sequence[str] = ()) -> list[Query]:
        """Read what a person typed as queries of this collection; see `cbir.search.terms.parse`."""
        refused = None if self.bundle.understands_words else partial(refusal, self.name, self.metadata, self.bundle)
        return parse(arguments, text=text, refusal=refused, datasets=datasets)

    def search(
        self,
        query: Query | None = None,
        k: int | None = None,
        *,
        like: Sequence[Weighed] = (),
        unlike: Sequence[Weighed] = (),
        options: SearchOptions | None = None,
        **given: Unpack[SearchKeywords],
    ) -> list[Hit]:
        """Find the stored images closest to a query.

        Parameters
        ----------
        query : str, Path, PIL.Image.Image, StoredPoint, ndarray, Words or Combination
            A picture; a stored point, which is searched for by its vector and is not among its own hits; a
            feature, (d,); words, for an encoder that has a text tower; or a sum of such queries.
        k : int
            The most hits, 10 by default; fewer come from a smaller collection.
        like, unlike : sequence
            In place of a query: what the hits should be like, and what they should be unlike. Each is a query, or
            a pair of a weight (above 0) and a query. See `cbir.search.combination`.
        options : SearchOptions, optional
            All options at once; those given by name come in their place.
        exact : bool
            Compare with every point instead of following the HNSW index.
        invert : bool
            Swap dark and light in a picture first.
        text : bool
            Whether a str is words; otherwise it is a path or a dataset's uri.
        prune : int, optional
            Rank only points whose short code differs from the query's in at most this many bits; fewer than k
            may be left. For an encoder that has short codes.
        labels : sequence of int or str, optional
            Only points with one of these labels; Qdrant filters while it searches.
        where : Filter, Mapping, str or sequence of str, optional
            A filter (see `cbir.collection.filter`), payload fields with the values allowed in each, or conditions as
            text: `"taken_at>=2024-06"` (see `cbir.collection.filter_text`).
        max_distance : float, optional
            Leave out what is farther from the query than this.
        not_itself : bool
            Leave out the file that is searched for, and whatever else has the same content.
        sort : str, optional
            The hits in the order of a field, or of `FIELD:desc`, instead of their distance; those without it come last.
        expand : int
            Average the query's feature with those of this many nearest and search again (see
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
        QueryError
            Not a query, words for an encoder that has no text tower, or terms that cancel out.
        CollectionError
            No such stored point, or no short codes to prune by.
        OptionError, ModelError
            A value that an option does not take; a number of bits that cannot be looked up.
        """
        return self.search_many([asked(query, like, unlike)], k, options=options, **given)[0]

    def search_many(
        self,
        queries: Sequence[Query],
        k: int | None = None,
        *,
        options: SearchOptions | None = None,
        **given: Unpack[SearchKeywords],
    ) -> list[list[Hit]]:
        """Search several queries as one batch; see `search`."""
        options = search_options(options, k, **given)
        prune = options.prune is not None
        validated = validated_queries(queries, invert=options.invert, text=options.text, prune=prune)
        terms = [terms_of(query) for query in validated]
        singles = [term.query for together in terms for term in together]
        # Before the collection is opened: an embedded one is held by one process at a time, and this may take a while.
        encoded = self._encoded(singles, invert=options.invert)
        with self._shared.used() as collection:
            self._put_stored(collection, singles, encoded)
            features = combined(terms, encoded)
            where = options.filters(collection)
            if options.sort is not None:
                from cbir.collection.stored_fields import StoredFields

                check_sort(options.sort, StoredFields(collection))
            own = [{term.query.id for term in each if isinstance(term.query, StoredPoint)} for each in terms]
            if options.not_itself:
                themselves = itself(collection, terms, encoded, options.k)
                own = [stored | same for stored, same in zip(own, themselves, strict=True)]
            # The neighbours of a pruned search are the whole collection's: pruning is for ranking.
            points = CollectionNeighbours(collection, own, where=where, exact=options.exact)
            balls = None if options.prune is None else self._balls(features, options.prune)
            features = stages.before(points, features, options)
            depth = max(validated_k(options.k), stages.depth(options))
            if balls is None:
                found = points.search(features, depth)
            else:
                found = self._pruned(collection, features, own, balls, depth, where, exact=options.exact)
            if options.max_distance is not None:
                found = [[hit for hit in hits if hit.distance <= options.max_distance] for hits in found]
            found = [hits[: options.k] for hits in stages.hits_after(points, features, found, options)]
            return found if options.sort is None else [in_order(hits, options.sort) for hits in found]

    def _pruned(
        self,
        collection: Collection,
        features: np.ndarray,
        own: Sequence[set[str]],
        balls: Sequence[Sequence[int]],
        depth: int,
        where: Filter | None,
        *,
        exact: bool,
    ) -> list[list[Hit]]:
        """Search each query among the points whose short codes are in its ball: each has a filter of its own."""
        of_codes = [Among("code", tuple(near)) for near in balls]
        more = max(map(len, own), default=0)
        found = collection.search_batch(features, depth + more, where=where, each=of_codes, exact=exact)
        return [without(stored, hits, depth) for stored, hits in zip(own, found, strict=True)]

    def _balls(self, features: np.ndarray, radius: int) -> list[list[int]]:
        """Return, for each feature, the short codes within `radius` bits of its own."""
        bits = self.encoder.code_bits
        if bits is None:
            raise CollectionError(
                f"collection '{self.name}' has no short codes to prune by; fill one that has: "
                "cbir ingest SOURCE --encoder deep-autoencoder --collection NAME"
            )
        return [ball(code, bits, radius) for code in codes(features, bits)]

    def _encoded(self, queries: Sequence[Single], *, invert: bool) -> np.ndarray:
        """Return the queries' features, (m, d) float32; rows of stored points are left to `_put_stored`."""
        features = np.zeros((len(queries), self.bundle.dimension), np.float32)
        words = {row: query.text for row, query in enumerate(queries) if isinstance(query, Words)}
        if words:
            features[list(words)] = self._encoded_words(list(words.values()))
        pictures = [row for row, query in enumerate(queries) if is_picture(query)]
        if pictures:
            features[pictures] = self.embed_many([queries[row] for row in pictures], invert=invert)  # type: ignore[misc]
        for row, query in enumerate(queries):
            if isinstance(query, np.ndarray):
                features[row] = validated_feature(query, self.bundle.dimension)
        return features

    def _put_stored(self, collection: Collection, queries: Sequence[Single], features: np.ndarray) -> None:
        """Write the vectors of those queries that are stored points into their rows."""
        points = {row: query.id for row, query in enumerate(queries) if isinstance(query, StoredPoint)}
        wanted = list(filter(is_point_id, dict.fromkeys(points.values())))
        stored = collection.vectors(wanted) if wanted else {}
        for row, point in points.items():
            if point not in stored:
                raise NoSuchPointError(f"collection '{self.name}' holds no point '{point}'")
            features[row] = stored[point]

    def embed(self, picture: Picture, *, invert: bool = False) -> np.ndarray:
        """Return a picture's feature, (d,) float32."""
        return self.embed_many([picture], invert=invert)[0]

    def embed_many(self, pictures: Sequence[Picture], *, invert: bool = False) -> np.ndarray:
        """Return features of several pictures, (n, d) float32."""
        pixels = each(partial(self.pixels, invert=invert), validated_queries(pictures))
        warn_of_unlike(pictures, pixels, self.metadata.background, inverted=invert)
        shape = (0, *self.bundle.preprocessing.shape)
        return self._features(np.stack(pixels) if pixels else np.empty(shape, np.uint8))

    def _features(self, pixels: np.ndarray) -> np.ndarray:
        """Encode pixels; by the encoder of a process that lends the collection, rather than load one for a query."""
        if self._encoder is None:
            features = self._engine.encode(self.name, self.bundle.fingerprint, pixels)
            if features is not None and features.shape == (len(pixels), self.bundle.dimension):
                return features
        return self.encoder.encode(pixels)

    def _encoded_words(self, texts: list[str]) -> np.ndarray:
        """Encode words, by a process that lends the collection as pictures are."""
        if self._text_encoder is None and self.bundle.understands_words:
            features = self._engine.encode_words(self.name, self.bundle.fingerprint, texts)
            if features is not None and features.shape == (len(texts), self.bundle.dimension):
                return features
        return self.text_encoder.encode(texts)

    def pixels(self, picture: Query, *, invert: bool = False) -> np.ndarray:
        """Return what the encoder sees of a picture, (h, w, c) uint8."""
        if not is_picture(picture):
            raise QueryError(f"a picture is a path, a uri or a Pillow image, not a {type(picture).__name__}")
        enough = self.bundle.preprocessing.enough  # as it was ingested
        with one_call():  # a large picture is large until the encoder's input is made of it
            if isinstance(picture, Image.Image):
                image = upright(picture, enough=enough)
            else:
                image = open_query(picture, self.open_picture, enough=enough)
            return self.bundle.preprocessing.pixels(_inverted(image) if invert else image)

    def open_stored(self, hit: Hit | Payload, *, enough: int | None = None) -> Image.Image:
        """Open the picture of a hit, or of a stored point's payload: of exact copies, one that is there.

        Parameters
        ----------
        hit : Hit or Mapping
        enough : int, optional
            Pixels of the shorter side that suffice, say for a thumbnail: a photograph is decoded no larger than that
            needs. By default whole.

        Raises
        ------
        ImageError, CbirError
            It cannot be read, or its source is gone.
        """
        payload = hit.payload if isinstance(hit, Hit) else hit
        places = located_places(payload, self.metadata)
        return opened(self.open_picture, present_first(places, self.metadata.roots.values())[0], payload, enough)

    def info(self) -> Info:
        """Return the collection's size and place."""
        with self._shared.used() as collection:
            return collection.info()

    def release(self) -> None:
        """Let others have the collection, once the running searches are done; the next search opens it again."""
        self._shared.release()

    def close(self) -> None:
        """Close the collection once the running searches are done; from now on, a search is an error."""
        self._shared.release(for_good=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_inverted = invert  # the methods above have an argument of that name
