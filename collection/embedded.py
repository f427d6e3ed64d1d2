"""Collections in this process: Qdrant Edge, one shard folder a collection.

`NAME/shard` is Qdrant's, `NAME/collection.json` is ours. A collection exists
once its folder does: it is made beside its place and renamed into it.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from collection.interface import (
    CollectionBusyError,
    CollectionError,
    Hit,
    Info,
    Label,
    Metadata,
    Page,
    Payload,
    Where,
    checked_k,
    checked_vectors,
)

#: Stored values (points x dimension) above which the HNSW graph is worth building.
#: Exact search reads them all: 3 ms for 60,000 x 128, some 10 ms here. The graph
#: saves 2 ms of the 3 and takes 9 to 24 s to build at that size.
INDEX_PAYS_ABOVE = 20_000_000

_CARD, _SHARD, _REPLACED = "collection.json", "shard", ".replaced"
_NAME = re.compile(r"[^\W_][\w.\- ]{0,99}")


class EmbeddedEngine:
    """Collections in a folder.

    Parameters
    ----------
    folder : Path
        Made when the first collection is.
    patience : float
        Seconds to wait for a collection that another process holds.
    """

    def __init__(self, folder: Path, *, patience: float = 3.0) -> None:
        self.folder = folder
        self.patience = patience

    def names(self) -> list[str]:
        """List collections by name."""
        self._recover()
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if not p.name.startswith(".") and (p / _CARD).is_file())

    def metadata(self, name: str) -> Metadata:
        """Read a collection's metadata without opening it."""
        self._existing(name)
        return _read_card(self.folder / name)

    def open(self, name: str) -> "EmbeddedCollection":
        """Open a collection, waiting a little for another process to let go of it."""
        self._existing(name)
        return _open(self.folder / name, name, self.patience)

    def create(self, name: str, metadata: Metadata) -> "EmbeddedCollection":
        """Make an empty collection."""
        if name in self.names():
            raise CollectionError(f"there is a collection '{name}' already")
        staged = self._staged(name, metadata)
        try:
            staged.rename(self.folder / name)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        return _open(self.folder / name, name, self.patience)

    @contextlib.contextmanager
    def replacement(self, name: str, metadata: Metadata) -> Iterator["EmbeddedCollection"]:
        """Yield an empty collection that takes the place of `name` when the block ends well."""
        self._existing(name)
        staged = self._staged(name, metadata)
        try:
            collection = _open(staged, name, self.patience)
            try:
                yield collection
            finally:
                collection.close()
            # Whoever searches the old one now is let finish, as Edge's lock says.
            _open(self.folder / name, name, self.patience).close()
            replaced = self.folder / f".{name}{_REPLACED}"
            (self.folder / name).rename(replaced)
            staged.rename(self.folder / name)
            shutil.rmtree(replaced, ignore_errors=True)
        except BaseException:
            self._recover()
            shutil.rmtree(staged, ignore_errors=True)
            raise

    def delete(self, name: str) -> None:
        """Remove a collection and all its points."""
        self.open(name).close()
        gone = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=self.folder))
        (self.folder / name).rename(gone / name)
        shutil.rmtree(gone, ignore_errors=True)

    def _existing(self, name: str) -> None:
        names = self.names()
        if name not in names:
            have = f"there are: {', '.join(names)}" if names else "there is none yet"
            raise CollectionError(f"no collection '{name}' in {self.folder} ({have}); make one with: cbir ingest")

    def _staged(self, name: str, metadata: Metadata) -> Path:
        checked_name(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=self.folder))
        try:
            staged.chmod(0o755)
            vectors = edge.EdgeVectorParams(size=metadata.dimension, distance=edge.Distance.Euclid)
            # Edge indexes only when told to; when told, it shall not find the collection too small.
            config = edge.EdgeConfig(vectors=vectors, optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1))
            with _edge_errors(name):
                edge.EdgeShard.create(str(staged / _SHARD), config).close()
            _write_card(staged, metadata)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        return staged

    def _recover(self) -> None:
        """Put back a collection whose replacement was interrupted between two renames."""
        if not self.folder.is_dir():
            return
        for replaced in self.folder.glob(f".*{_REPLACED}"):
            name = replaced.name[1 : -len(_REPLACED)]
            if (self.folder / name).exists():
                shutil.rmtree(replaced, ignore_errors=True)
            else:
                replaced.rename(self.folder / name)


class EmbeddedCollection:
    """One open Edge shard; see `collection.interface.Collection` for the verbs."""

    def __init__(self, shard: edge.EdgeShard, folder: Path, name: str) -> None:
        self._shard = shard
        self._folder = folder
        self._metadata = _read_card(folder)
        self.name = name

    @property
    def metadata(self) -> Metadata:
        """What the collection remembers about how it was filled."""
        return self._metadata

    def remember(self, metadata: Metadata) -> None:
        """Replace the metadata, all or nothing; dimension and fingerprint stay."""
        kept = replace(metadata, dimension=self._metadata.dimension, fingerprint=self._metadata.fingerprint)
        _write_card(self._folder, kept)
        self._metadata = kept

    def upsert(self, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        """Insert or replace points; durable (in Qdrant's write-ahead log) when it returns."""
        vectors = checked_vectors(vectors, self.metadata.dimension)
        if not len(ids) == len(vectors) == len(payloads):
            raise CollectionError(f"{len(ids)} ids, {len(vectors)} vectors and {len(payloads)} payloads do not match")
        points = [edge.Point(id=i, vector=v, payload=p) for i, v, p in zip(ids, vectors, payloads, strict=True)]
        with _edge_errors(self.name):
            self._shard.update(edge.UpdateOperation.upsert_points(points))
            self._index_labels(payloads)

    def _index_labels(self, payloads: Sequence[Payload]) -> None:
        """Index `label` for filtering and counting, by the type of the first label seen."""
        if "label" in self._shard.info().payload_schema:
            return
        label = next((p["label"] for p in payloads if p.get("label") is not None), None)
        if label is not None:
            kind = edge.PayloadSchemaType.Integer if isinstance(label, int) else edge.PayloadSchemaType.Keyword
            self._shard.update(edge.UpdateOperation.create_field_index("label", kind))

    def payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        """Return the payloads of those of `ids` that are stored."""
        with _edge_errors(self.name):
            records = self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        return {str(record.id): record.payload or {} for record in records}

    def search(self, vector: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False) -> list[Hit]:
        """Return the k closest points, closest first."""
        return self.search_batch(np.asarray(vector)[None], k, where=where, exact=exact)[0]

    def search_batch(
        self, vectors: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False
    ) -> list[list[Hit]]:
        """Search each row of (n, d) `vectors`; cheaper than one by one."""
        checked_k(k)
        requests = [
            edge.QueryRequest(
                query=edge.Query.Nearest(vector),
                limit=k,
                filter=_filter(where),
                params=edge.SearchParams(exact=exact),
                with_payload=True,
            )
            for vector in checked_vectors(vectors, self.metadata.dimension)
        ]
        if not requests:
            return []
        with _edge_errors(self.name):
            found = self._shard.query_batch(edge.QueryBatchRequest(requests))
        return [[_hit(point) for point in points] for points in found]

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
        info = self.info()
        pays = info.points * self.metadata.dimension > INDEX_PAYS_ABOVE
        return pays and info.indexed < 0.9 * info.points

    def build_index(self) -> None:
        """Build the HNSW index; blocks for seconds to minutes and lets other threads run."""
        with _edge_errors(self.name):
            self._shard.optimize()

    def info(self) -> Info:
        """Tell sizes."""
        with _edge_errors(self.name):
            shard = self._shard.info()
        return Info(shard.points_count, shard.indexed_vectors_count, _size(self._folder), str(self._folder))

    def close(self) -> None:
        """Write everything out and let go."""
        with _edge_errors(self.name):
            self._shard.close()


def checked_name(name: str) -> str:
    """Return a name fit for a folder on any system.

    Raises
    ------
    CollectionError
        Empty, too long, or with characters that a path would read otherwise.
    """
    if not _NAME.fullmatch(name) or name.endswith((" ", ".", _REPLACED)):
        raise CollectionError(
            f"'{name}' cannot name a collection: use letters, digits, '-', '_', '.', starting with a letter or digit"
        )
    return name


def _open(folder: Path, name: str, patience: float) -> EmbeddedCollection:
    deadline = time.monotonic() + patience
    while True:
        try:
            with _edge_errors(name):
                return EmbeddedCollection(edge.EdgeShard.load(str(folder / _SHARD)), folder, name)
        except CollectionBusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def _edge_errors(name: str) -> Iterator[None]:
    """Edge raises bare exceptions with Rust's words; say what they mean."""
    try:
        yield
    except CollectionError:
        raise
    except Exception as error:
        text = str(error)
        if "WouldBlock" in text:
            raise CollectionBusyError(
                f"collection '{name}' is in use by another process; wait for it to end, "
                "or serve many at once from a Qdrant server"
            ) from None
        raise CollectionError(f"collection '{name}': {text.splitlines()[0][:300]}") from error


def _hit(point: edge.ScoredPoint) -> Hit:
    payload = point.payload or {}
    return Hit(str(point.id), float(point.score), payload.get("label"), payload.get("uri", ""), payload)


def _filter(where: Where | None) -> edge.Filter | None:
    if not where:
        return None
    return edge.Filter(must=[edge.Filter(should=_matches(field, values)) for field, values in where.items()])


def _matches(field: str, values: Sequence[Label]) -> list[Any]:
    """Match any of the values; Qdrant wants integers and strings apart."""
    whole = [v for v in values if isinstance(v, int)]
    texts = [v for v in values if isinstance(v, str)]
    any_of = [edge.MatchAny(whole)] * bool(whole) + [edge.MatchAny(texts)] * bool(texts)
    return [edge.FieldCondition(key=field, match=match) for match in any_of]


def _read_card(folder: Path) -> Metadata:
    try:
        card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        card["input_shape"] = tuple(card["input_shape"])
        card["background"] = tuple(card["background"]) if card.get("background") else None
        return Metadata(**card)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CollectionError(f"{folder / _CARD} is damaged ({error}); ingest again with --retrain") from None


def _write_card(folder: Path, metadata: Metadata) -> None:
    partial = folder / f"{_CARD}.partial"
    with partial.open("w", encoding="utf-8") as file:
        json.dump(asdict(metadata), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / _CARD)


def _size(folder: Path) -> int:
    """Bytes that the folder takes on disk (Qdrant preallocates sparse files)."""
    return sum(getattr(p.stat(), "st_blocks", 0) * 512 or p.stat().st_size for p in folder.rglob("*") if p.is_file())
