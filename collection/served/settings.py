"""A layout in the words of qdrant-client."""

from typing import Any

from cbir.collection.layout import Layout


def settings(layout: Layout) -> dict[str, Any]:
    """Return qdrant-client's arguments for `create_collection`, without those of the vectors."""
    from qdrant_client import models

    quantizations: dict[str | None, Any] = {
        None: lambda: None,
        "int8": lambda: models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        ),
        "binary": lambda: models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True)),
        "turbo": lambda: models.TurboQuantization(turbo=models.TurboQuantQuantizationConfig(always_ram=True)),
    }
    given = {
        "quantization_config": quantizations[layout.quantization](),
        "shard_number": layout.shards,
        "replication_factor": layout.replicas,
    }
    return {name: value for name, value in given.items() if value is not None}
