"""One collection in this process: points stored, found and indexed by Qdrant Edge.

In: the folder of a collection and the name of its shard. Out: the verbs of
`cbir.collection.interface.Collection`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from cbir.collection.checks import (
    check_payloads,
    validated_k,
    validated_points,
    validated_vectors,
)
from cbir.collection.checksum import resigned, signed
from cbir.collection.damage import Damage
from cbir.collection.embedded.building import Building
from cbir.collection.embedded.card import read_metadata, write_metadata
from cbir.collection.embedded.filters import edge_filter, index_filtered, renew_indexes, type_of_index
from cbir.collection.embedded.kept import field_index
from cbir.collection.embedded.shards import check_free_space, edge_errors, open_shards
from cbir.collection.errors import CollectionError
from cbir.collection.facets import Group, facet
from cbir.collection.fields import COPIES, indexes_needed
from cbir.collection.filter import Exists, Filter, Where, both, filter_of
from cbir.collection.interface import Info
from cbir.collection.layout import COMPARED, OVERSAMPLING
from cbir.collection.metadata import Metadata
from cbir.collection.point import CHECKSUM, Hit, Label, Page, Payload, unsigned
from cbir.collection.translation import MOST_VALUES, key_of
from cbir.collection.verify import find_damage
from cbir.core.disk import size_on_disk
from cbir.core.progress import Progress, silent

#: Changed points after which Edge writes what it holds of them: until then it keeps some 300 bytes of each in memory.
FLUSH_STEP = 50_000


#: Of smaller copies of the vectors, if there are any.
_RANKED = edge.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
#: Of points that pass a filter: their neighbours' neighbours are looked at too, if few pass (ACORN). A field is indexed
#: after the graph is built, which then has no edges for it: of a million points of which 1 to 5% pass, a search along
#: the graph alone found 0 to a third of what is there.
_FILTERED = edge.AcornSearchParams(enable=True)


class EmbeddedCollection:
    """One open Edge shard; see `cbir.collection.interface.Collection` for the verbs.

    Parameters
    ----------
    name : str
    folder : Path
        The collection's.
    shard : str
        Name of the shard folder in it.
    metadata : Metadata
    in_place : bool
        The metadata file names this shard; if not, it is written when the collection takes its place.
    """

    def __init__(self, name: str, folder: Path, shard: str, metadata: Metadata, *, in_place: bool = True) -> None:
        self.name = name
        self._folder = folder
        self._metadata = metadata
        self._in_place = in_place
        self._opened = open_shards.acquire(folder / shard, name)
        self._open = True
        self._index = Building(self._opened, name, metadata.dimension, self._name_shard)
        #: Points that were changed since Edge wrote what it held.
        self._unwritten = 0
        #: What a check has found, if there was one since it was opened.
        self.damage: Damage | None = None
        if in_place:
            try:
                self._read_again()
            except BaseException:
                self.close()
                raise
        self._opened.updated = self._opened.updated or metadata.updated

    def _read_again(self) -> None:
        """Read the metadata once more, now that nobody else can change them: they may be older than the points.

        Raises
        ------
        CollectionError
            They name another shard by now, and this one is being removed.
        """
        try:
            metadata, shard = read_metadata(self._folder)
        except CollectionError:
            return
        if shard != self.shard:
            raise self._replaced()
        self._metadata = metadata
        self._opened.trust(metadata.updated)

    def _replaced(self) -> CollectionError:
        return CollectionError(f"collection '{self.name}' was filled anew by another process")

    @property
    def shard(self) -> str:
        """The name of the folder that has its points: another after its index was built."""
        return self._opened.folder.name

    @property
    def _shard(self) -> edge.EdgeShard:
        return self._opened.shard

    @property
    def metadata(self) -> Metadata:
        """What the collection remembers about how it was filled."""
        return self._metadata

    def remember(self, metadata: Metadata) -> None:
        """Replace the metadata, all or nothing; encoder, dimension and keys of newer versions stay."""
        with self._changing():
            if self._in_place:
                updated = metadata.updating(read_metadata(self._folder)[0])
                write_metadata(self._folder, updated, self.shard)
            else:
                updated = metadata.updating(self._metadata)
            self._metadata = updated
            self._opened.updated = updated.updated

    def upsert(self, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        """Insert or replace points; durable (in Qdrant's write-ahead log) when it returns."""
        vectors = validated_points(ids, vectors, payloads, self.metadata.dimension)
        check_free_space(self._folder, vectors.nbytes)
        kept = signed(ids, vectors, payloads)
        rows = map(np.ndarray.tolist, vectors)  # of a list, Edge takes the numbers in a fifth of the time
        points = [edge.Point(id=i, vector=v, payload=p) for i, v, p in zip(ids, rows, kept, strict=True)]
        with self._changing():
            self._shard.update(edge.UpdateOperation.upsert_points(points))
            self._index_fields(payloads)
            self._write_step(len(ids))
            self._index.step(vectors.size)

    def replace_payloads(self, ids: Sequence[str], payloads: Sequence[Payload]) -> None:
        """Replace the payloads of stored points, whose vectors stay; unknown ids are ignored."""
        check_payloads(ids, payloads)
        check_free_space(self._folder, 0)
        with self._changing():
            records = self._shard.retrieve(list(ids), with_payload=[CHECKSUM], with_vector=False)
            stored = {str(record.id): record.payload for record in records}  # of an unknown id, Edge makes an error
            for identity, payload in zip(ids, payloads, strict=True):
                if identity in stored:
                    kept = resigned(identity, payload, stored[identity])
                    # One by one: 32 us each, half of what vectors read and upserted again take.
                    self._shard.update(edge.UpdateOperation.overwrite_payload([identity], kept))
            self._index_fields(payloads)
            self._write_step(len(ids))

    def _write_step(self, points: int) -> None:
        """Have Edge write what it holds of changed points once they are many; whatever happens, they are in its log."""
        self._unwritten += points
        if self._unwritten >= FLUSH_STEP:
            self._shard.flush()
            self._unwritten = 0

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Change the shard in this block, which waits for other threads that do; that it changes is noted first."""
        with self._opened.changing, edge_errors(self.name):
            self._opened.change()
            yield

    def _index_fields(self, payloads: Sequence[Payload]) -> None:
        """Index the fields that searches filter by, once a point has them."""
        indexed = self._shard.info().payload_schema
        for field, kind in indexes_needed(payloads).items():
            if field not in indexed:
                self._shard.update(edge.UpdateOperation.create_field_index(field, field_index(kind)))

    def payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        """Return the payloads of those of `ids` that are stored."""
        with edge_errors(self.name):
            records = self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        return {str(record.id): unsigned(record.payload) for record in records}

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the vectors, (d,) float32, of those of `ids` that are stored."""
        with edge_errors(self.name):
            records = self._shard.retrieve(list(ids), with_payload=False, with_vector=True)
        return {str(r.id): np.array(r.vector, np.float32) for r in records if isinstance(r.vector, list)}

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
        limit = min(validated_k(k), self._points())
        if not limit:
            return [[] for _ in vectors]
        if each is None:
            allowed = [self._filter(where)] * len(vectors)
        else:
            allowed = [self._filter(both(filter_of(where), filter_of(own))) for own in each]
        requests = [
            edge.QueryRequest(
                query=edge.Query.Nearest(vector),
                limit=limit,
                filter=passing,
                params=edge.SearchParams(
                    exact=exact or self._few(passing), quantization=_RANKED, acorn=_FILTERED if passing else None
                ),
                with_payload=payloads,
            )
            for vector, passing in zip(vectors, allowed, strict=True)
        ]
        if not requests:
            return []
        with edge_errors(self.name):
            found = self._shard.query_batch(edge.QueryBatchRequest(requests))
        return [[Hit.of(point) for point in points] for points in found]

    def _filter(self, where: Where | None) -> edge.Filter | None:
        condition = filter_of(where)
        if condition is None:
            return None
        if self._opened.changing.acquire(blocking=False):  # else it is found more slowly, as on a full disk
            try:
                with contextlib.suppress(CollectionError), edge_errors(self.name):
                    check_free_space(self._folder, 0)
                    index_filtered(condition, self._shard, self._opened.change)
            finally:
                self._opened.changing.release()
        with edge_errors(self.name):
            return edge_filter(condition, self._shard)

    def _few(self, passing: edge.Filter | None) -> bool:
        """Tell whether so few points pass a filter that all of them are compared."""
        if passing is None:
            return False
        with edge_errors(self.name):
            points = self._shard.count(edge.CountRequest(filter=passing, exact=False))
        return points * self.metadata.dimension <= COMPARED

    def _points(self) -> int:
        with edge_errors(self.name):
            return self._shard.info().points_count

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
        offset: Any = start
        keys = None if fields is None else [*(key_of(field) for field in fields), *([CHECKSUM] if vectors else [])]
        payload = True if keys is None else keys or False
        width = self.metadata.dimension if vectors else 0
        allowed = self._filter(where)
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=page, filter=allowed, with_vector=vectors, with_payload=payload
            )
            with edge_errors(self.name):
                records, offset = self._shard.scroll(request)
            if records:
                rows = np.empty((len(records), width), np.float32)
                if vectors:
                    for row, record in zip(rows, records, strict=True):
                        # The unnamed vector is a plain list, unless a damaged file says that it was deleted.
                        row[:] = record.vector if isinstance(record.vector, list) else np.nan
                yield Page.of(records, rows)
            if offset is None:
                return

    def count(self, *, where: Where | None = None) -> int:
        """Count points exactly."""
        allowed = self._filter(where)
        with edge_errors(self.name):
            return self._shard.count(edge.CountRequest(filter=allowed, exact=True))

    def facet(
        self, field: str, *, where: Where | None = None, limit: int | None = None, group: Group | None = None
    ) -> list[tuple[Label, int]]:
        """Count the points that have each value of a field, the most frequent value first."""
        self._filter(Exists(field))  # indexes it, where that pays
        with edge_errors(self.name):
            schema = self._shard.info().payload_schema
        indexed = {key: kind for key, index in schema.items() if (kind := type_of_index(index))}

        def by_index(key: str, where: Filter | None) -> list[tuple[Label, int]]:
            request = edge.FacetRequest(key, limit=MOST_VALUES, exact=True, filter=self._filter(where))
            with edge_errors(self.name):
                return [(hit.value, hit.count) for hit in self._shard.facet(request).hits]

        return facet(
            self,
            field,
            filter_of(where),
            limit,
            group,
            indexed=indexed,
            by_index=by_index,
            has_copies=COPIES[0] in schema,
        )

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are ignored."""
        with self._changing():
            self._shard.update(edge.UpdateOperation.delete_points(list(ids)))
            self._write_step(len(ids))

    def index_pays(self) -> bool:
        """Tell whether an HNSW index would save more than it costs, and is not there yet."""
        return self._index.pays()

    def pause_indexing(self, *, entirely: bool = False) -> None:
        """Index in steps from now on: Edge indexes only when asked, and adds to the graph that is there."""
        self._index.in_steps(not entirely)

    def build_index(self, *, small: bool = False, progress: Progress = silent) -> None:  # noqa: ARG002 - Edge has neither
        """Build the HNSW index; other threads search meanwhile, and wait to change anything. `close` ends it."""
        with self._changing():
            self._index.build()

    def _name_shard(self, shard: Path) -> None:
        """Have the metadata file name another folder as the one that has the points, if it names the one that had."""
        if self._in_place:
            metadata, named = read_metadata(self._folder)
            if named != self.shard:
                raise self._replaced()
            write_metadata(self._folder, metadata, shard.name)

    def info(self) -> Info:
        """Return sizes."""
        with edge_errors(self.name):
            shard = self._shard.info()
        size = size_on_disk(self._opened.folder)
        return Info(shard.points_count, shard.indexed_vectors_count, size, str(self._folder))

    @property
    def closed_with(self) -> int | None:
        """The number of points when it was last closed after a change; None if not known, or changed since."""
        state = self._opened.state
        return state.points if state.clean and state.updated and not self._opened.changed else None

    @property
    def signed(self) -> bool:
        """Whether every point has a checksum, if none is damaged: no older cbir and no other program has stored any."""
        return self._opened.state.signed

    @property
    def clean(self) -> bool:
        """Whether there is no reason to check its points: whoever changed it last has closed it, or it was checked."""
        return not self._opened.suspect

    def verify(self, progress: Progress = silent) -> Damage:
        """Check all points, and make the payload indexes anew; stage `check`."""
        self.damage = find_damage(self, progress)
        with edge_errors(self.name):
            self._opened.checked(sound=self.damage.none)
        with contextlib.suppress(CollectionError), edge_errors(self.name):
            check_free_space(self._folder, 0)
            with self._opened.changing:
                renew_indexes(self._shard, self._opened.change)
        return self.damage

    def close(self) -> None:
        """End the building of an index, write everything to disk, and release the shard; twice is not an error."""
        if self._open:
            self._open = False
            with self._index.ended():
                open_shards.release(self._opened, self.name)
