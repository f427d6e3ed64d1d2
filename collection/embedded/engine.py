"""Collections in this process: Qdrant Edge, one folder a collection.

`NAME/collection.json` is ours: the metadata, and which `NAME/shard-*` is
Qdrant's shard of points. The card is written last and replaced whole, so a
collection exists once its card does, and a replacement takes place the moment
the card names another shard.
"""

import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from cbir.collection.archive import is_archive, read_archive, write_archive
from cbir.collection.interface import (
    CollectionBusyError,
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
    checked_name,
    checked_points,
    checked_values,
    checked_vectors,
    first_values,
    missing,
    silent,
)
from cbir.collection.lock import held
from cbir.core.errors import first_line

#: Stored values (points x dimension) above which the HNSW graph is worth building.
#: Exact search reads them all: 3 ms for 60,000 x 128, some 10 ms here. The graph
#: saves 2 ms of the 3 and takes 8 to 24 s to build at that size.
INDEX_PAYS_ABOVE = 20_000_000

#: Bytes of disk that must stay free: where Qdrant's memory-mapped files cannot
#: grow, the system kills the process (SIGBUS) instead of giving an error.
DISK_RESERVE = 100_000_000

_CARD, _LOCK, _SHARD = "collection.json", ".writing", "shard-"


class EmbeddedEngine:
    """Collections in a folder.

    Parameters
    ----------
    folder : Path
        Made when the first collection is.
    patience : float
        Seconds to wait for a collection that another process holds.
    """

    def __init__(self, folder: Path, *, patience: float = 10.0) -> None:
        self.folder = folder
        self.patience = patience

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.folder)

    def names(self) -> list[str]:
        """List collections by name."""
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if (p / _CARD).is_file())

    def metadata(self, name: str) -> Metadata:
        """Read a collection's metadata without opening it."""
        return _read_card(self._existing(name))[0]

    def open(self, name: str) -> "EmbeddedCollection":
        """Open a collection, waiting a little for another process to let go of it."""
        folder = self._existing(name)
        deadline = time.monotonic() + self.patience
        while True:
            metadata, shard = _read_card(folder)
            try:
                return EmbeddedCollection(name, folder, shard, metadata)
            except CollectionBusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            except CollectionError:
                # Replaced between reading the card and opening the shard it named?
                if _read_card(folder)[1] == shard:
                    raise

    def create(self, name: str, metadata: Metadata) -> "EmbeddedCollection":
        """Make an empty collection."""
        if name in self.names():
            raise CollectionError(f"there is a collection '{name}' already; name another with --collection")
        folder = self.folder / checked_name(name)
        _sweep(folder)
        shard = self._new_shard(name, metadata)
        _write_card(folder, metadata, shard)
        return EmbeddedCollection(name, folder, shard, metadata)

    @contextlib.contextmanager
    def replacement(self, name: str, metadata: Metadata) -> Iterator["EmbeddedCollection"]:
        """Yield an empty collection that takes the place of `name`, if there is one, when the block ends well."""
        folder = self.folder / checked_name(name)
        with contextlib.suppress(CollectionError):
            _sweep(folder, keep=_read_card(folder)[1])
        shard = self._new_shard(name, metadata)
        collection = EmbeddedCollection(name, folder, shard, metadata, in_place=False)
        try:
            try:
                yield collection
            finally:
                collection.close()
            _write_card(folder, collection.metadata, shard)
        except BaseException:
            shutil.rmtree(folder / shard, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.rmdir()  # nothing else in it: there was none to replace
            raise
        _sweep(folder, keep=shard)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Hold the right to fill `name`; the system lets go of it if the process dies."""
        folder = self.folder / checked_name(name)
        with held(folder / _LOCK, name):
            try:
                yield
            finally:
                if not (folder / _CARD).exists():
                    shutil.rmtree(folder, ignore_errors=True)

    def delete(self, name: str) -> None:
        """Remove a collection and all its points."""
        folder = self._existing(name)
        self.open(name).close()
        (folder / _CARD).unlink()
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Do nothing: each collection is closed by itself."""

    def snapshot(self, name: str, path: Path, report: Report = silent) -> None:
        """Write an archive of a collection; while it is open here, nobody else changes it."""
        with contextlib.closing(self.open(name)) as collection:
            write_archive(collection, path, report)

    def restore(self, path: Path, name: str, report: Report = silent) -> None:
        """Make collection `name` from an archive."""
        if not is_archive(path):
            raise CollectionError(
                f"{path} is no archive of cbir's; if it is a snapshot of Qdrant's, restore it on a server "
                "(--qdrant-url) and take the collection home with cbir pull"
            )
        read_archive(path, self, name, report)

    def _existing(self, name: str) -> Path:
        names = self.names()
        if name not in names:
            raise missing(name, self.location, names)
        return self.folder / name

    def _new_shard(self, name: str, metadata: Metadata) -> str:
        """Make an empty shard in the collection's folder and return its name."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(folder, 0)
        place = Path(tempfile.mkdtemp(prefix=_SHARD, dir=folder))
        try:
            vectors = edge.EdgeVectorParams(size=metadata.dimension, distance=edge.Distance.Euclid)
            # Edge indexes only when told to; when told, it shall not find the collection too small.
            config = edge.EdgeConfig(vectors=vectors, optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1))
            with _edge_errors(name):
                edge.EdgeShard.create(str(place), config).close()
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return place.name


class EmbeddedCollection:
    """One open Edge shard; see `cbir.collection.interface.Collection` for the verbs."""

    def __init__(self, name: str, folder: Path, shard: str, metadata: Metadata, *, in_place: bool = True) -> None:
        self.name = name
        self._folder = folder
        self._shard_name = shard
        self._metadata = metadata
        self._in_place = in_place
        self._shard = _shared.take(folder / shard, name)
        self._open = True

    @property
    def metadata(self) -> Metadata:
        """What the collection remembers about how it was filled."""
        return self._metadata

    def remember(self, metadata: Metadata) -> None:
        """Replace the metadata, all or nothing; dimension and fingerprint stay."""
        kept = replace(metadata, dimension=self._metadata.dimension, fingerprint=self._metadata.fingerprint)
        if self._in_place:
            _write_card(self._folder, kept, self._shard_name)
        self._metadata = kept

    def upsert(self, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        """Insert or replace points; durable (in Qdrant's write-ahead log) when it returns."""
        vectors = checked_points(ids, vectors, payloads, self.metadata.dimension)
        _check_room(self._folder, vectors.nbytes)
        points = [edge.Point(id=i, vector=v, payload=p) for i, v, p in zip(ids, vectors, payloads, strict=True)]
        with _edge_errors(self.name):
            self._shard.update(edge.UpdateOperation.upsert_points(points))
            self._index_fields(payloads)

    def _index_fields(self, payloads: Sequence[Payload]) -> None:
        """Index what is filtered by and counted, by the type of the first value seen."""
        indexed = self._shard.info().payload_schema
        for field, value in first_values(payloads).items():
            if field not in indexed:
                kind = edge.PayloadSchemaType.Integer if isinstance(value, int) else edge.PayloadSchemaType.Keyword
                self._shard.update(edge.UpdateOperation.create_field_index(field, kind))

    def payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        """Return the payloads of those of `ids` that are stored."""
        with _edge_errors(self.name):
            records = self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        return {str(record.id): record.payload or {} for record in records}

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the vectors, (d,) float32, of those of `ids` that are stored."""
        with _edge_errors(self.name):
            records = self._shard.retrieve(list(ids), with_payload=False, with_vector=True)
        return {str(record.id): np.array(record.vector, np.float32) for record in records}

    def search(self, vector: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False) -> list[Hit]:
        """Return the k closest points, closest first."""
        return self.search_batch(np.asarray(vector)[None], k, where=where, exact=exact)[0]

    def search_batch(
        self, vectors: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False
    ) -> list[list[Hit]]:
        """Search each row of (n, d) `vectors`; cheaper than one by one."""
        vectors = checked_vectors(vectors, self.metadata.dimension)
        most = min(checked_k(k), self._points())
        if not most:
            return [[] for _ in vectors]
        requests = [
            edge.QueryRequest(
                query=edge.Query.Nearest(vector),
                limit=most,
                filter=_filter(where),
                params=edge.SearchParams(exact=exact),
                with_payload=True,
            )
            for vector in vectors
        ]
        if not requests:
            return []
        with _edge_errors(self.name):
            found = self._shard.query_batch(edge.QueryBatchRequest(requests))
        return [[Hit.of(point) for point in points] for points in found]

    def _points(self) -> int:
        with _edge_errors(self.name):
            return self._shard.info().points_count

    def scroll(self, *, vectors: bool = True, page: int = 4096) -> Iterator[Page]:
        """Yield all points in the order of their ids."""
        offset: Any = None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=page, with_vector=vectors, with_payload=True)
            with _edge_errors(self.name):
                records, offset = self._shard.scroll(request)
            if records:
                width = self.metadata.dimension if vectors else 0
                rows = np.empty((len(records), width), np.float32)
                if vectors:
                    for row, record in zip(rows, records, strict=True):
                        row[:] = record.vector  # type: ignore[assignment]  # the unnamed vector is a plain list
                yield Page([str(r.id) for r in records], rows, [r.payload or {} for r in records])
            if offset is None:
                return

    def count(self, *, where: Where | None = None) -> int:
        """Count points exactly."""
        with _edge_errors(self.name):
            return self._shard.count(edge.CountRequest(filter=_filter(where), exact=True))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are ignored."""
        with _edge_errors(self.name):
            self._shard.update(edge.UpdateOperation.delete_points(list(ids)))

    def index_pays(self) -> bool:
        """Tell whether an HNSW index would save more than it costs, and is not there yet."""
        with _edge_errors(self.name):
            shard = self._shard.info()
        pays = shard.points_count * self.metadata.dimension > INDEX_PAYS_ABOVE
        return pays and shard.indexed_vectors_count < 0.9 * shard.points_count

    def hold_index(self) -> None:
        """Do nothing: Edge indexes only when told to."""

    def build_index(self, *, small: bool = False, report: Report = silent) -> None:  # noqa: ARG002 - any size, untold
        """Build the HNSW index; blocks for seconds to minutes and lets other threads run."""
        with _edge_errors(self.name):
            self._shard.optimize()

    def info(self) -> Info:
        """Tell sizes."""
        with _edge_errors(self.name):
            shard = self._shard.info()
        taken = _size(self._folder / self._shard_name)
        return Info(shard.points_count, shard.indexed_vectors_count, taken, str(self._folder))

    def close(self) -> None:
        """Write everything out and let go; closing twice is no error."""
        if self._open:
            self._open = False
            _shared.give_back(self._folder / self._shard_name, self.name)


@contextlib.contextmanager
def _edge_errors(name: str, hint: str = "") -> Iterator[None]:
    """Edge raises bare exceptions with Rust's words; say what they mean."""
    try:
        yield
    except CollectionError:
        raise
    except BaseException as error:
        # What panics in Rust on damaged files is no Exception in Python.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        text = str(error)
        if "WouldBlock" in text:
            raise CollectionBusyError(
                f"collection '{name}' is in use by another process; wait for it to end, "
                "or serve many at once from a Qdrant server"
            ) from None
        if any(refusal in text for refusal in ("No space", "Permission denied", "Read-only", "File too large")):
            hint = "; free some space, or see who may write there"
        raise CollectionError(f"collection '{name}': {first_line(error)}{hint}") from error


def _way_out(name: str) -> str:
    """Say what mends a damaged collection."""
    return f"build it anew with: cbir ingest SOURCE --collection '{name}' --retrain"


class _SharedShards:
    """Shards open in this process: Edge locks a shard also against its own process, so they are shared."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, tuple[edge.EdgeShard, int]] = {}

    def take(self, place: Path, name: str) -> edge.EdgeShard:
        with self._lock:
            if place in self._open:
                shard, users = self._open[place]
            else:
                with _edge_errors(name, f"; if it stays so, {_way_out(name)}"):
                    shard, users = edge.EdgeShard.load(str(place)), 0
            self._open[place] = (shard, users + 1)
            return shard

    def give_back(self, place: Path, name: str) -> None:
        with self._lock:
            shard, users = self._open.pop(place)
            if users > 1:
                self._open[place] = (shard, users - 1)
                return
            with _edge_errors(name):
                shard.close()


_shared = _SharedShards()


def _filter(where: Where | None) -> edge.Filter | None:
    if not where:
        return None
    return edge.Filter(must=[edge.Filter(should=_matches(field, values)) for field, values in where.items()])


def _matches(field: str, values: Sequence[Label]) -> list[Any]:
    """Match any of the values."""
    return [edge.FieldCondition(key=field, match=edge.MatchAny(kind)) for kind in checked_values(field, values)]


def _read_card(folder: Path) -> tuple[Metadata, str]:
    """Return the metadata and the name of the shard in use."""
    try:
        card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        shard = str(card.pop("shard"))
        return Metadata.from_json(card), shard
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CollectionError(f"{folder / _CARD} is damaged ({first_line(error)}); {_way_out(folder.name)}") from None


def _write_card(folder: Path, metadata: Metadata, shard: str) -> None:
    partial = folder / f"{_CARD}.partial"
    with partial.open("w", encoding="utf-8") as file:
        json.dump({**asdict(metadata), "shard": shard}, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / _CARD)


def _sweep(folder: Path, keep: str = "") -> None:
    """Remove shards that no card names: the one just replaced, and those of killed processes.

    One that somebody still reads stays until the next time. While one is being
    removed it is held, so that whoever comes late finds it in use, looks at the
    card again, and opens the shard that it names by now.
    """
    for place in folder.glob(f"{_SHARD}*"):
        if place.name == keep:
            continue
        shard = None
        try:
            with _edge_errors(place.name):
                shard = edge.EdgeShard.load(str(place))
        except CollectionBusyError:
            continue
        except CollectionError:
            pass  # not even whole: nobody can be reading it
        shutil.rmtree(place, ignore_errors=True)
        if shard is not None:
            with contextlib.suppress(CollectionError), _edge_errors(place.name):
                shard.close()


def _check_room(folder: Path, wanted: int) -> None:
    """Refuse to write on a nearly full disk."""
    free = shutil.disk_usage(folder).free
    if free < DISK_RESERVE + 4 * wanted:
        raise CollectionError(
            f"only {free / 1e6:.0f} MB are free at {folder}, and Qdrant needs {DISK_RESERVE / 1e6:.0f} MB to spare; "
            "free some space, or name another place with CBIR_HOME"
        )


def _size(folder: Path) -> int:
    """Bytes that the folder takes on disk (Qdrant preallocates sparse files)."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # Qdrant tidies up while we count
            status = path.stat()
            total += getattr(status, "st_blocks", 0) * 512 or status.st_size
    return total
