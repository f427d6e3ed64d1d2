"""How Qdrant Edge is told to keep points, and keeps them: a layout, and indexes of payload fields, in its words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qdrant_edge as edge

from cbir.collection.embedded.card import read_metadata
from cbir.collection.errors import CollectionError
from cbir.collection.layout import NO_QUANTIZATION, Layout, quantization_of
from cbir.core.stored import read_object

#: Of the index, Qdrant's own numbers; so many kilobytes of vectors that pass a filter are compared one by one.
_EDGES, _WIDTH, _FULL_SCAN_KB = 16, 100, 10_000

#: Edge's own file in a shard's folder.
_CONFIG = "edge_config.json"

_SMALLER: dict[str, Callable[[], edge.QuantizationConfigType | None]] = {
    NO_QUANTIZATION: lambda: None,
    "int8": lambda: edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, memory=edge.Memory.Pinned),
    "binary": lambda: edge.BinaryQuantizationConfig(memory=edge.Memory.Pinned),
    "turbo": lambda: edge.TurboQuantQuantizationConfig(memory=edge.Memory.Pinned),
}

#: Of each type of values, as `FieldType` spells it: what Edge calls it, and what makes an index of them.
INDEXES: dict[str, tuple[edge.PayloadSchemaType, Callable[..., edge.PayloadSchemaParams]]] = {
    "integer": (edge.PayloadSchemaType.Integer, edge.IntegerIndexParams),
    "float": (edge.PayloadSchemaType.Float, edge.FloatIndexParams),
    "keyword": (edge.PayloadSchemaType.Keyword, edge.KeywordIndexParams),
    "datetime": (edge.PayloadSchemaType.Datetime, edge.DatetimeIndexParams),
    "geo": (edge.PayloadSchemaType.Geo, edge.GeoIndexParams),
    "bool": (edge.PayloadSchemaType.Bool, edge.BoolIndexParams),
}


def shard_config(dimension: int, layout: Layout) -> edge.EdgeConfig:
    """Return what an empty shard is made with: vectors of `dimension` values, compared by Euclidean distance."""
    cold = edge.Memory.Cold if layout.on_disk else None
    vectors = edge.EdgeVectorParams(
        size=dimension,
        distance=edge.Distance.Euclid,
        memory=cold,
        hnsw_config=edge.HnswIndexConfig(_EDGES, _WIDTH, _FULL_SCAN_KB, memory=cold),
        quantization_config=_SMALLER[layout.quantization or NO_QUANTIZATION](),
    )
    # Edge builds an HNSW index only when told to; then it must not find the collection too small.
    optimizers = edge.EdgeOptimizersConfig(indexing_threshold=1)
    # Ids are looked up in their file: held in memory they take 50 bytes a point, and no search is faster by it.
    return edge.EdgeConfig(vectors=vectors, optimizers=optimizers, id_tracker_memory=edge.Memory.Cold)


def layout_of(folder: Path) -> Layout:
    """Return the layout of the collection in a folder; of one that is damaged, nothing is known."""
    try:
        vectors = read_object(folder / read_metadata(folder)[1] / _CONFIG)["vectors"][""]
        return Layout(quantization_of(vectors.get("quantization_config")), vectors.get("memory") == "cold")
    except (CollectionError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return Layout()


def field_index(kind: str) -> edge.PayloadSchemaParams:
    """Return the index of a field whose values are of a type.

    It is read from its file when it is asked. Held in memory, the indexes of three fields of a million points took
    340 MB and opening them 2 s, and filtered no faster.
    """
    _, made = INDEXES[kind]
    return made(memory=edge.Memory.Cold)
