"""Options of Qdrant's for a new collection on a server, passed through."""

from dataclasses import dataclass, fields
from typing import Any

from cbir.collection.errors import CollectionError

QUANTIZATIONS = ("int8", "binary", "turbo")


@dataclass(frozen=True)
class Layout:
    """Options of a new collection; with None or False the server decides.

    Attributes
    ----------
    quantization : str, optional
        `int8` (scalar), `binary` or `turbo`: a smaller copy of the vectors that is searched
        in memory; the originals rank what it finds.
    on_disk : bool
        Original vectors stay on disk and are read when needed.
    shards : int, optional
        Parts among which a cluster distributes the points.
    replicas : int, optional
        Copies of each part.

    Raises
    ------
    CollectionError
        A value that Qdrant does not take.
    """

    quantization: str | None = None
    on_disk: bool = False
    shards: int | None = None
    replicas: int | None = None

    def __post_init__(self) -> None:
        if self.quantization not in (None, *QUANTIZATIONS):
            raise CollectionError(
                f"unknown quantization '{self.quantization}'; choose one of {', '.join(QUANTIZATIONS)}"
            )
        for name, value in (("shards", self.shards), ("replicas", self.replicas)):
            if value is not None and value < 1:
                raise CollectionError(f"{name} must be at least 1, not {value}")

    @property
    def chosen(self) -> list[str]:
        """Names of the options that were given."""
        return [field.name for field in fields(self) if getattr(self, field.name) not in (None, False)]

    def settings(self) -> dict[str, Any]:
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
            "quantization_config": quantizations[self.quantization](),
            "shard_number": self.shards,
            "replication_factor": self.replicas,
        }
        return {name: value for name, value in given.items() if value is not None}
