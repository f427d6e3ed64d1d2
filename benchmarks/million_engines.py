"""The engines that `million` compares: each fills a folder, and another process opens it and searches."""

import gc
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

EDGES, WIDTH = 16, 100
LISTS, PROBES = 4_096, 32
BLOCK = 1_000
#: The field that each 100th point has, and each second one.
FIELDS = {100: "camera", 2: "lens"}


class Engine(Protocol):
    """What is compared; vectors are (n, d) float32, and a hit is the number of its row."""

    def load(self, vectors: np.ndarray) -> None:
        """Store the vectors."""

    def index(self) -> None:
        """Build the index, and write everything to disk."""

    def disk(self) -> int:
        """Return the bytes on disk."""

    def open(self) -> None:
        """Open what another process has written."""

    def close(self) -> None:
        """Close what was opened."""

    def narrow(self, every: int) -> None:
        """From now on, search each `every`th row alone."""

    def search(self, query: np.ndarray, k: int) -> list[int]:
        """Return the k closest rows."""


class _Cbir:
    """An embedded collection; `steps`: indexed as it is loaded, as by an ingest; `small`: on disk, with such copies."""

    def __init__(self, folder: Path, *, steps: bool = False, small: str | None = None) -> None:
        from cbir.collection.embedded.engine import EmbeddedEngine
        from cbir.collection.layout import Layout

        self._steps = steps
        self._folder = folder / f"cbir-{steps}-{small}"
        self._engine = EmbeddedEngine(self._folder, layout=Layout(small, on_disk=True) if small else None)
        self._where: Any = None

    def load(self, vectors: np.ndarray) -> None:
        from cbir.collection.metadata import Metadata

        metadata = Metadata("0", vectors.shape[1], "m", ("made",), (1, 1, 1), "0", "", "")
        self._points = self._engine.create("made", metadata)
        self._points.pause_indexing(entirely=not self._steps)
        for start in range(0, len(vectors), BLOCK):
            rows = range(start, min(start + BLOCK, len(vectors)))
            self._points.upsert(ids(rows), np.asarray(vectors[rows.start : rows.stop]), payloads(rows))

    def index(self) -> None:
        self._points.build_index()
        self._points.close()

    def disk(self) -> int:
        return _size(self._folder)

    def open(self) -> None:
        self._points = self._engine.open("made")

    def close(self) -> None:
        self._points.close()

    def narrow(self, every: int) -> None:
        from cbir.collection.filter_text import parse_where

        self._where = parse_where([f"{FIELDS[every]}=yes"]) if every > 1 else None

    def search(self, query: np.ndarray, k: int) -> list[int]:
        return [hit.payload["index"] for hit in self._points.search(query, k, where=self._where)]


class _Edge:
    """Qdrant Edge, with the same points."""

    def __init__(self, folder: Path) -> None:
        import qdrant_edge as edge

        self._edge = edge
        self._folder = folder / "edge"
        self._filter: Any = None

    def load(self, vectors: np.ndarray) -> None:
        edge = self._edge
        self._folder.mkdir()
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=vectors.shape[1], distance=edge.Distance.Euclid),
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1),
        )
        self._shard = edge.EdgeShard.create(str(self._folder), config)
        for start in range(0, len(vectors), BLOCK):
            rows = range(start, min(start + BLOCK, len(vectors)))
            block = np.asarray(vectors[rows.start : rows.stop])
            points = [
                edge.Point(id=i, vector=v, payload=p) for i, v, p in zip(ids(rows), block, payloads(rows), strict=True)
            ]
            self._shard.update(edge.UpdateOperation.upsert_points(points))

    def index(self) -> None:
        for field in FIELDS.values():
            kind = self._edge.PayloadSchemaType.Keyword
            self._shard.update(self._edge.UpdateOperation.create_field_index(field, kind))
        self._shard.optimize()
        self._shard.flush()
        self._shard.close()

    def disk(self) -> int:
        return _size(self._folder)

    def open(self) -> None:
        self._shard = self._edge.EdgeShard.load(str(self._folder))

    def close(self) -> None:
        self._shard.close()

    def narrow(self, every: int) -> None:
        edge = self._edge
        self._filter = None
        if every > 1:
            self._filter = edge.Filter(must=[edge.FieldCondition(FIELDS[every], match=edge.MatchValue("yes"))])

    def search(self, query: np.ndarray, k: int) -> list[int]:
        edge = self._edge
        request = edge.QueryRequest(query=edge.Query.Nearest(query), limit=k, filter=self._filter, with_payload=True)
        return [point.payload["index"] for point in self._shard.query(request)]


class _Faiss:
    """An index of faiss, written to a file; narrowed by a bitmap."""

    def __init__(self, folder: Path, described: str) -> None:
        self._faiss: Any = import_module("faiss")
        self._described = described
        self._file = folder / f"{described}.faiss"
        self._parameters: Any = None

    def load(self, vectors: np.ndarray) -> None:
        self._vectors = vectors
        self._index = self._faiss.index_factory(vectors.shape[1], self._described)
        if hasattr(self._index, "hnsw"):
            self._index.hnsw.efConstruction = WIDTH

    def index(self) -> None:
        if not self._index.is_trained:
            self._index.train(np.asarray(self._vectors[:: max(1, len(self._vectors) // (40 * LISTS))]))
        for start in range(0, len(self._vectors), 10 * BLOCK):
            self._index.add(np.asarray(self._vectors[start : start + 10 * BLOCK]))
        self._faiss.write_index(self._index, str(self._file))

    def disk(self) -> int:
        return self._file.stat().st_size

    def open(self) -> None:
        self._index = self._faiss.read_index(str(self._file))
        self.narrow(1)

    def close(self) -> None:
        del self._index

    def narrow(self, every: int) -> None:
        selector = None
        if every > 1:
            keep = np.zeros(self._index.ntotal + -self._index.ntotal % 8, bool)
            keep[: self._index.ntotal : every] = True
            self._bits = np.packbits(keep, bitorder="little")
            selector = self._faiss.IDSelectorBitmap(self._bits)
        self._selector = selector  # faiss holds a bare pointer to it
        chosen = {"sel": selector} if selector is not None else {}
        if "HNSW" in self._described:
            self._parameters = self._faiss.SearchParametersHNSW(efSearch=WIDTH, **chosen)
        elif "IVF" in self._described:
            self._parameters = self._faiss.SearchParametersIVF(nprobe=PROBES, **chosen)
        else:
            self._parameters = self._faiss.SearchParameters(**chosen)

    def search(self, query: np.ndarray, k: int) -> list[int]:
        return self._index.search(query[None], k, params=self._parameters)[1][0].tolist()


class _Hnswlib:
    """hnswlib; narrowed by a function that it asks of each candidate."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "hnswlib.bin"
        self._shape = folder / "vectors.npy"
        self._chosen: Callable[[int], bool] | None = None

    def load(self, vectors: np.ndarray) -> None:
        self._vectors = vectors
        self._index = import_module("hnswlib").Index("l2", vectors.shape[1])
        self._index.init_index(len(vectors), ef_construction=WIDTH, M=EDGES)

    def index(self) -> None:
        for start in range(0, len(self._vectors), 10 * BLOCK):
            self._index.add_items(np.asarray(self._vectors[start : start + 10 * BLOCK]))
        self._index.save_index(str(self._file))

    def disk(self) -> int:
        return self._file.stat().st_size

    def open(self) -> None:
        dimension = np.load(self._shape, mmap_mode="r").shape[1]
        self._index = import_module("hnswlib").Index("l2", dimension)
        self._index.load_index(str(self._file))
        self._index.set_ef(WIDTH)

    def close(self) -> None:
        del self._index

    def narrow(self, every: int) -> None:
        self._chosen = (lambda row: row % every == 0) if every > 1 else None

    def search(self, query: np.ndarray, k: int) -> list[int]:
        return self._index.knn_query(query, k, num_threads=1, filter=self._chosen)[0][0].tolist()


def ids(rows: range) -> list[str]:
    """Return the ids of made points."""
    return [f"{row:08x}-0000-5000-8000-{row:012x}" for row in rows]


def payloads(rows: range) -> list[dict[str, Any]]:
    """Return what is stored with them: a uri, the row, and what `narrow` searches by."""
    return [
        {
            "uri": f"album {row // 500}/IMG_{row:07}.jpg",
            "index": row,
            **{field: "yes" for every, field in FIELDS.items() if row % every == 0},
        }
        for row in rows
    ]


def _size(folder: Path) -> int:
    gc.collect()
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "cbir": _Cbir,
    "cbir-steps": lambda folder: _Cbir(folder, steps=True),
    "cbir-int8": lambda folder: _Cbir(folder, small="int8"),
    "cbir-turbo": lambda folder: _Cbir(folder, small="turbo"),
    "cbir-binary": lambda folder: _Cbir(folder, small="binary"),
    "edge": _Edge,
    "faiss-flat": lambda folder: _Faiss(folder, "Flat"),
    "faiss-ivf": lambda folder: _Faiss(folder, f"IVF{LISTS},Flat"),
    "faiss-hnsw": lambda folder: _Faiss(folder, f"HNSW{EDGES},Flat"),
    "hnswlib": _Hnswlib,
}
