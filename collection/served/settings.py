"""A layout in the words of qdrant-client, and as a server tells it."""

from collections.abc import Mapping
from typing import Any

from cbir.collection.layout import NO_QUANTIZATION, Layout, quantization_of


def settings(layout: Layout) -> dict[str, Any]:
    """Return qdrant-client's arguments for `create_collection`, without those of the vectors."""
    from qdrant_client import models

    quantizations: dict[str, Any] = {
        NO_QUANTIZATION: lambda: None,
        "int8": lambda: models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        ),
        "binary": lambda: models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True)),
        "turbo": lambda: models.TurboQuantization(turbo=models.TurboQuantQuantizationConfig(always_ram=True)),
    }
    given = {
        "quantization_config": quantizations[layout.quantization or NO_QUANTIZATION](),
        "shard_number": layout.shards,
        "replication_factor": layout.replicas,
    }
    return {name: value for name, value in given.items() if value is not None}


def layout_of(config: Mapping[str, Any]) -> Layout:
    """Return the layout of a collection, by its settings as JSON."""
    params = config["params"]
    return Layout(
        quantization_of(config.get("quantization_config")),
        bool((params.get("vectors") or {}).get("on_disk")),
        params.get("shard_number"),
        params.get("replication_factor"),
    )
