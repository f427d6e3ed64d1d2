"""One collection of a Qdrant server: points stored, found and indexed through qdrant-client.

In: what `served` found behind a name. Out: the verbs of `cbir.collection.interface.Collection`.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

import numpy as np
from qdrant_client import models

from cbir.collection.interface import (
    CollectionError,
    Hit,
    Info,
    Label,
    Metadata,
    Page,
    Payload,
    Report,
    Where,
    checked_k,
    checked_points,
    checked_values,
    checked_vectors,
    first_values,
    silent,
)
from cbir.collection.served.cards import Cards
from cbir.collection.served.server import RefusedError, Server
from cbir.collection.served.streams import upsert

P = ParamSpec("P")
T = TypeVar("T")

#: Kilobytes of vectors in a segment from which Qdrant builds an HNSW graph: its own default.
INDEXING_THRESHOLD = 10_000

_NOT_FOUND = 404
_ONCE_MORE = 0.25

#: Hits, and values of queries, in one request.
_HITS = 50_000
_VALUES = 1_000_000


class ServedCollection:
    """One collection of a server; see `cbir.collection.interface.Collection` for the verbs."""

    def __init__(
        self,
        server: Server,
        cards: Cards,
        name: str,
        physical: str,
        metadata: Metadata,
        thresholds: dict[str, int],
    ) -> None:
        self.name = name
        self._thresholds = thresholds
        self._server = server
        self._cards = cards
        self._physical = physical
        self._metadata = metadata
        self._hold = False
        self._closed = False
        self._indexed: set[str] = set()

    @property
    def metadata(self) -> Metadata:
        """What the collection remembers about how it was filled."""
        return self._metadata

    def remember(self, metadata: Metadata) -> None:
        """Replace the metadata, all or nothing; dimension and fingerprint stay."""
        kept = replace(metadata, dimension=self._metadata.dimension, fingerprint=self._metadata.fingerprint)
        self._cards.write(self._physical, kept)
        self._metadata = kept

    def upsert(self, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        """Insert or replace points over parallel streams; stored and searchable when it returns."""
        vectors = checked_points(ids, vectors, payloads, self.metadata.dimension)
        if self._hold:
            before = self._described().config.optimizer_config.indexing_threshold
            if before and before > 1:
                self._thresholds[self._physical] = before
            self._set_threshold(0)
            self._hold = False
        self._index_fields(payloads)
        with self._gone():
            upsert(self._server, self._physical, ids, vectors, payloads, sharded=self._sharded)

    @functools.cached_property
    def _sharded(self) -> bool:
        return (self._described().config.params.shard_number or 1) > 1

    def _index_fields(self, payloads: Sequence[Payload]) -> None:
        """Index what is filtered by and counted, by the type of the first value seen."""
        for field, value in first_values(payloads).items():
            if field in self._indexed:
                continue
            if field not in self._described().payload_schema:
                kind = models.PayloadSchemaType.INTEGER if isinstance(value, int) else models.PayloadSchemaType.KEYWORD
                self._call(self._server.client.create_payload_index, self._physical, field, kind, wait=True)
            self._indexed.add(field)

    def payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        """Return the payloads of those of `ids` that are stored."""
        found = self._call(self._server.client.retrieve, self._physical, list(ids), with_payload=True)
        return {str(record.id): record.payload or {} for record in found}

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the vectors, (d,) float32, of those of `ids` that are stored."""
        found = self._call(
            self._server.client.retrieve, self._physical, list(ids), with_payload=False, with_vectors=True
        )
        return {str(record.id): np.array(record.vector, np.float32) for record in found}

    def search(self, vector: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False) -> list[Hit]:
        """Return the k closest points, closest first."""
        return self.search_batch(np.asarray(vector)[None], k, where=where, exact=exact)[0]

    def search_batch(
        self, vectors: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False
    ) -> list[list[Hit]]:
        """Search each row of (n, d) `vectors`; cheaper than one by one."""
        vectors = checked_vectors(vectors, self.metadata.dimension)
        most, allowed = checked_k(k), _filter(where)
        requests = [
            models.QueryRequest(
                query=vector.tolist(),
                limit=most,
                filter=allowed,
                params=models.SearchParams(exact=True) if exact else None,
                with_payload=True,
            )
            for vector in vectors
        ]
        step = max(1, min(_HITS // most, _VALUES // self.metadata.dimension))
        found: list[models.QueryResponse] = []
        for start in range(0, len(requests), step):
            part = requests[start : start + step]
            found += self._call(self._server.client.query_batch_points, self._physical, part)
        return [[Hit.of(point) for point in response.points] for response in found]

    def scroll(self, *, vectors: bool = True, page: int = 4096) -> Iterator[Page]:
        """Yield all points in the order of their ids."""
        offset: Any = None
        width = self.metadata.dimension if vectors else 0
        while True:
            records, offset = self._call(
                self._server.client.scroll,
                self._physical,
                limit=page,
                offset=offset,
                with_payload=True,
                with_vectors=vectors,
            )
            if records:
                rows = np.array([r.vector for r in records] if vectors else np.empty((len(records), 0)), np.float32)
                yield Page(
                    [str(r.id) for r in records], rows.reshape(len(records), width), [r.payload or {} for r in records]
                )
            if offset is None:
                return

    def count(self, *, where: Where | None = None) -> int:
        """Count points exactly."""
        return self._call(self._server.client.count, self._physical, count_filter=_filter(where), exact=True).count

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are ignored."""
        if not ids:
            return
        selector = models.PointIdsList(points=list(ids))
        self._call(self._server.client.delete, self._physical, points_selector=selector, wait=True)

    def hold_index(self) -> None:
        """Put the HNSW index off, from the next upsert until `build_index`."""
        self._hold = True

    def index_pays(self) -> bool:
        """Tell that it does: Qdrant decides by its own threshold."""
        return True

    def build_index(self, *, small: bool = False, report: Report = silent) -> None:
        """Let Qdrant index what its threshold asks for (`small`: everything), and wait until it is done."""
        now = self._described().config.optimizer_config.indexing_threshold
        # 0 and 1 are never somebody's choice: they are what a load of ours that was stopped left.
        usual = now if now and now > 1 else self._thresholds.pop(self._physical, INDEXING_THRESHOLD)
        if small:
            self._set_threshold(1)
            self._wait(report)
        if small or usual != now:
            self._set_threshold(usual)
        self._wait(report)

    def _wait(self, report: Report) -> None:
        """Wait for green, seen twice: an optimizer starts a moment after it is asked for. Or for `close`."""
        green = 0
        while green < 2 and not self._closed:
            described = self._described()
            if described.status == models.CollectionStatus.RED or not isinstance(
                described.optimizer_status, models.OptimizersStatusOneOf
            ):
                raise CollectionError(
                    f"Qdrant could not optimize collection '{self.name}': {_told(described.optimizer_status)}"
                )
            green = green + 1 if described.status == models.CollectionStatus.GREEN else 0
            if described.status == models.CollectionStatus.GREY:
                # After a restart, optimizers rest until something is changed.
                self._call(
                    self._server.client.update_collection,
                    self._physical,
                    optimizers_config=models.OptimizersConfigDiff(),
                )
            report(described.indexed_vectors_count or 0, described.points_count or 0)
            time.sleep(_ONCE_MORE)

    def info(self) -> Info:
        """Tell the number of points; a server does not tell bytes."""
        described = self._described()
        return Info(self.count(), described.indexed_vectors_count or 0, None, self._server.location)

    def close(self) -> None:
        """End a `build_index` of another thread; the connection is the engine's."""
        self._closed = True

    def _described(self) -> models.CollectionInfo:
        return self._call(self._server.client.get_collection, self._physical)

    def _set_threshold(self, kilobytes: int) -> None:
        self._call(
            self._server.client.update_collection,
            self._physical,
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=kilobytes),
        )

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._gone():
            return self._server.call(function, *args, **kwargs)

    @contextlib.contextmanager
    def _gone(self) -> Iterator[None]:
        """Say it when the collection behind the name is not there any more."""
        try:
            yield
        except RefusedError as error:
            if error.status != _NOT_FOUND:
                raise
            raise CollectionError(
                f"collection '{self.name}' at {self._server.location} was replaced or deleted meanwhile; try again"
            ) from error


def _filter(where: Where | None) -> models.Filter | None:
    if not where:
        return None
    return models.Filter(must=[models.Filter(should=_matches(field, values)) for field, values in where.items()])


def _matches(field: str, values: Sequence[Label]) -> list[Any]:
    """Match any of the values."""
    return [models.FieldCondition(key=field, match=models.MatchAny(any=kind)) for kind in checked_values(field, values)]


def _told(status: Any) -> str:
    return str(getattr(status, "error", status))
