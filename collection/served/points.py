"""One collection of a Qdrant server: points stored, found and indexed.

In: the physical collection that the engine found behind a name. Out: the verbs of
`cbir.collection.interface.Collection`.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import ParamSpec, TypeVar

import numpy as np

from cbir.collection.checks import (
    check_payloads,
    validated_k,
    validated_points,
    validated_vectors,
)
from cbir.collection.checksum import resigned, signed
from cbir.collection.damage import Damage
from cbir.collection.errors import CollectionError
from cbir.collection.facets import Group, facet
from cbir.collection.fields import COPIES, indexes_needed
from cbir.collection.filter import Filter, Where, filter_of
from cbir.collection.interface import Info
from cbir.collection.layout import OVERSAMPLING
from cbir.collection.metadata import Metadata
from cbir.collection.point import CHECKSUM, Hit, Label, Page, Payload, unsigned
from cbir.collection.served.cards import MetadataStore
from cbir.collection.served.few import Few
from cbir.collection.served.filters import served_filter
from cbir.collection.served.reader import Condition, Described, Record
from cbir.collection.served.server import RefusedError, Server
from cbir.collection.translation import MOST_VALUES, key_of
from cbir.collection.verify import find_damage
from cbir.core.errors import warn_caller
from cbir.core.progress import Progress, silent

P = ParamSpec("P")
T = TypeVar("T")

#: Kilobytes of vectors in a segment above which Qdrant builds an HNSW graph: its own default.
INDEXING_THRESHOLD = 10_000

_NOT_FOUND = 404
_POLL_SECONDS = 0.25

#: The most hits, and the most values of query vectors, in one request.
_MAX_HITS = 50_000
_MAX_VALUES = 1_000_000

#: Of smaller copies of the vectors, if there are any.
_RANKED = {"rescore": True, "oversampling": OVERSAMPLING}
#: Of points that pass a filter, as in `embedded.points`; Qdrant has it since 1.16.
_FILTERED = {"enable": True}


class ServedCollection:
    """One collection of a server; see `cbir.collection.interface.Collection` for the verbs.

    Parameters
    ----------
    server : Server
    store : MetadataStore
        Where its metadata are stored.
    name, physical : str
        The alias, and the collection that it names.
    metadata : Metadata
    thresholds : dict
        The engine's: indexing thresholds to restore after a load, by physical collection.
    indexed : int
        Points in the index.
    """

    def __init__(
        self,
        server: Server,
        store: MetadataStore,
        name: str,
        physical: str,
        metadata: Metadata,
        thresholds: dict[str, int],
        indexed: int = 0,
    ) -> None:
        self.name = name
        self._thresholds = thresholds
        self._server = server
        self._store = store
        self._physical = physical
        self._metadata = metadata
        self._pause_indexing = False
        self._closed = False
        self._damage: Damage | None = None
        self._indexed_fields: set[str] = set()
        self._few = Few(metadata.dimension, indexed, self._points_in_index, self._about)

    @property
    def metadata(self) -> Metadata:
        """What the collection remembers about how it was filled."""
        return self._metadata

    @property
    def closed_with(self) -> int | None:
        """Return None: nobody closes it, and others write to it too."""
        return None

    @property
    def signed(self) -> bool:
        """Return False: other programs may have stored points."""
        return False

    @property
    def damage(self) -> Damage | None:
        """What a check has found since the collection was opened; None if there was none."""
        return self._damage

    def verify(self, progress: Progress = silent) -> Damage:
        """Compare all points with their checksums; stage `check`."""
        self._damage = find_damage(self, progress)
        return self._damage

    def remember(self, metadata: Metadata) -> None:
        """Replace the metadata, all or nothing; encoder, dimension and keys of newer versions stay."""
        stored = self._store.of(self._physical, self._described()) or self._metadata
        updated = metadata.updating(stored)
        self._store.write(self._physical, updated)
        self._metadata = updated

    def upsert(self, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        """Insert or replace points over parallel streams; stored and searchable when it returns."""
        from cbir.collection.served.streams import upsert

        vectors = validated_points(ids, vectors, payloads, self.metadata.dimension)
        if self._pause_indexing:
            before = self._described().threshold
            if before and before > 1:
                self._thresholds[self._physical] = before
            self._set_threshold(0)
            self._pause_indexing = False
        self._index_fields(payloads)
        with self._missing_errors():
            upsert(self._server, self._physical, ids, vectors, signed(ids, vectors, payloads), sharded=self._sharded)

    def replace_payloads(self, ids: Sequence[str], payloads: Sequence[Payload]) -> None:
        """Replace the payloads of stored points, whose vectors stay; unknown ids are ignored."""
        from cbir.collection.served.streams import overwrite_payloads

        check_payloads(ids, payloads)
        self._index_fields(payloads)
        records = self._call(self._server.reader.records, self._physical, ids, payload=[CHECKSUM])
        # For an unknown id, Qdrant may refuse the whole batch.
        stored = {record.id: record.payload for record in records}
        pairs = [(i, resigned(i, payload, stored[i])) for i, payload in zip(ids, payloads, strict=True) if i in stored]
        with self._missing_errors():
            overwrite_payloads(self._server, self._physical, pairs, sharded=self._sharded)

    @functools.cached_property
    def _sharded(self) -> bool:
        return self._described().shards > 1

    def _index_fields(self, payloads: Sequence[Payload]) -> None:
        """Index the fields that searches filter by, once a point has them."""
        from qdrant_client import models

        for field, kind in indexes_needed(payloads, served=True).items():
            if field in self._indexed_fields:
                continue
            if field not in self._described().indexes:
                create = self._server.client.create_payload_index
                self._call(create, self._physical, field, models.PayloadSchemaType(kind), wait=True)
            self._indexed_fields.add(field)

    def payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        """Return the payloads of those of `ids` that are stored."""
        found = self._call(self._server.reader.records, self._physical, ids)
        return {record.id: unsigned(record.payload) for record in found}

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the vectors, (d,) float32, of those of `ids` that are stored."""
        found = self._call(self._server.reader.records, self._physical, ids, payload=False, vectors=True)
        return {record.id: np.array(record.vector, np.float32) for record in found}

    def search(self, vector: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False) -> list[Hit]:
        """Return the k closest points, closest first."""
        return self.search_batch(np.asarray(vector)[None], k, where=where, exact=exact)[0]

    def search_batch(
        self,
        vectors: np.ndarray,
        k: int,
        *,
        where: Where | None = None,
        each: Sequence[Where] | None = None,
        exact: bool = False,
        payloads: bool = True,
    ) -> list[list[Hit]]:
        """Search each row of (n, d) `vectors`, cheaper than one by one; `each`: filters of the rows' own."""
        vectors = validated_vectors(vectors, self.metadata.dimension)
        limit, common = validated_k(k), self._filter(where)
        allowed = [common] * len(vectors) if each is None else [_both(common, self._filter(own)) for own in each]
        compared = [True] * len(allowed) if exact else self._few.of(allowed)
        requests = [
            {
                "query": vector.tolist(),
                "limit": limit,
                "filter": passing,
                "params": {"exact": every, "quantization": _RANKED, "acorn": _FILTERED if passing else None},
                "with_payload": payloads,
            }
            for vector, passing, every in zip(vectors, allowed, compared, strict=True)
        ]
        step = max(1, min(_MAX_HITS // limit, _MAX_VALUES // self.metadata.dimension))
        found: list[list[Record]] = []
        for start in range(0, len(requests), step):
            part = requests[start : start + step]
            found += self._call(self._server.reader.search, self._physical, part)
        return [[Hit.of(point) for point in points] for points in found]

    def scroll(
        self,
        *,
        vectors: bool = True,
        fields: Sequence[str] | None = None,
        where: Where | None = None,
        page: int = 4096,
        start: str | None = None,
    ) -> Iterator[Page]:
        """Yield all points, or those that pass a filter, in the order of their ids."""
        offset: object = start
        keys = None if fields is None else [*(key_of(field) for field in fields), *([CHECKSUM] if vectors else [])]
        payload = True if keys is None else keys or False
        allowed = self._filter(where)
        width = self.metadata.dimension if vectors else 0
        while True:
            records, offset = self._call(
                self._server.reader.scroll,
                self._physical,
                allowed,
                limit=page,
                offset=offset,
                payload=payload,
                vectors=vectors,
            )
            if records:
                rows = np.array([r.vector for r in records] if vectors else np.empty((len(records), 0)), np.float32)
                yield Page.of(records, rows.reshape(len(records), width))
            if offset is None:
                return

    def count(self, *, where: Where | None = None) -> int:
        """Count points exactly."""
        return self._call(self._server.reader.count, self._physical, self._filter(where))

    def facet(
        self, field: str, *, where: Where | None = None, limit: int | None = None, group: Group | None = None
    ) -> list[tuple[Label, int]]:
        """Count the points that have each value of a field, the most frequent value first."""
        indexed = self._described().indexes

        def by_index(key: str, where: Filter | None) -> list[tuple[Label, int]]:
            return self._call(self._server.reader.facet, self._physical, key, self._filter(where), MOST_VALUES)

        return facet(
            self,
            field,
            filter_of(where),
            limit,
            group,
            indexed=indexed,
            by_index=by_index,
            has_copies=COPIES[0] in indexed or not indexed,
        )

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are ignored."""
        if not ids:
            return
        from qdrant_client import models

        selector = models.PointIdsList(points=list(ids))
        self._call(self._server.client.delete, self._physical, points_selector=selector, wait=True)

    def pause_indexing(self, *, entirely: bool = False) -> None:  # noqa: ARG002 - it is, always
        """Build no HNSW index, from the next upsert until `build_index`."""
        self._pause_indexing = True

    def index_pays(self) -> bool:
        """Return True: Qdrant decides by its own threshold."""
        return True

    def build_index(self, *, small: bool = False, progress: Progress = silent) -> None:
        """Have Qdrant index what is above its threshold (`small`: everything), and wait until it is done."""
        now = self._described().threshold
        # Nobody chooses 0 or 1: a load of ours that was stopped left it.
        usual = now if now and now > 1 else self._thresholds.pop(self._physical, INDEXING_THRESHOLD)
        if small:
            self._set_threshold(1)
            self._wait(progress)
        if small or usual != now:
            self._set_threshold(usual)
        self._wait(progress)
        self._few.forget()
        self._warn_of_nodes_behind()

    def _warn_of_nodes_behind(self) -> None:
        nodes: list[str] = []
        with contextlib.suppress(CollectionError):  # a key may not ask for that
            nodes = self._call(self._server.reader.behind, self._physical)
        if nodes:
            warn_caller(
                f"every point of collection '{self.name}' is stored, but not as often as it should be: "
                f"{', '.join(nodes)} of the cluster could not take all. Qdrant copies the rest by itself once it can; "
                "see that node's disk and log"
            )

    def _wait(self, progress: Progress) -> None:
        """Wait until Qdrant is green twice in a row, as optimizers start with a delay; or until `close`."""
        green = 0
        while green < 2 and not self._closed:
            described = self._described()
            if described.status == "red" or described.problem:
                reason = described.problem or "it does not say why"
                raise CollectionError(f"Qdrant could not optimize collection '{self.name}': {reason}")
            green = green + 1 if described.status == "green" else 0
            if described.status == "grey":
                # After a restart of the server, optimizers do nothing until something is changed.
                self._set_optimizers()
            progress("index", described.indexed, described.points)
            time.sleep(_POLL_SECONDS)

    def info(self) -> Info:
        """Return sizes; a server does not report bytes on disk."""
        described = self._described()
        return Info(self.count(), described.indexed, None, self._server.location)

    def ask_once(self) -> None:
        """Ask the server whether the collection can be read now, without a retry; RefusedError if not."""
        with self._missing_errors():
            self._server.once(self._server.reader.describe, self._physical)

    def close(self) -> None:
        """End a `build_index` of another thread; the engine closes the connection."""
        self._closed = True

    def _points_in_index(self) -> int:
        return self._described().indexed

    def _about(self, passing: Condition) -> int:
        return self._call(self._server.reader.count, self._physical, passing, exact=False)

    def _filter(self, where: Where | None) -> Condition | None:
        return served_filter(where, self._server, self._physical, self._call)

    def _described(self) -> Described:
        described = self._call(self._server.reader.describe, self._physical)
        if described is None:
            raise self._missing()
        return described

    def _set_threshold(self, kilobytes: int) -> None:
        self._set_optimizers(indexing_threshold=kilobytes)

    def _set_optimizers(self, indexing_threshold: int | None = None) -> None:
        from qdrant_client import models

        changed = models.OptimizersConfigDiff(indexing_threshold=indexing_threshold)
        self._call(self._server.client.update_collection, self._physical, optimizers_config=changed)

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._missing_errors():
            return self._server.call(function, *args, **kwargs)

    @contextlib.contextmanager
    def _missing_errors(self) -> Iterator[None]:
        """Turn Qdrant's "not found" into an error that says what became of the collection."""
        try:
            yield
        except RefusedError as error:
            if error.status != _NOT_FOUND:
                raise
            raise self._missing() from error

    def _missing(self) -> CollectionError:
        return CollectionError(
            f"collection '{self.name}' at {self._server.location} was replaced or deleted meanwhile; "
            "run the same command again"
        )


def _both(first: Condition | None, second: Condition | None) -> Condition | None:
    """Return a filter that passes what two of `served_filter` pass."""
    if first is None or second is None:
        return first or second
    return {"must": [first, second]}
