"""How Qdrant is to keep a new collection: smaller copies of its vectors, what stays on disk, how it is spread."""

from dataclasses import dataclass, fields

from cbir.collection.errors import CollectionError

QUANTIZATIONS = ("int8", "binary", "turbo")

#: How many points a search of smaller copies finds for each that is asked for, before the originals rank them.
OVERSAMPLING = 2.0


@dataclass(frozen=True)
class Layout:
    """Options of a new collection; with None or False Qdrant decides.

    Attributes
    ----------
    quantization : str, optional
        `int8` (scalar), `binary` or `turbo`: a smaller copy of the vectors that is searched
        in memory; the originals rank what it finds, `OVERSAMPLING` times as many as are asked for.
    on_disk : bool
        Original vectors stay on disk and are read when needed; in an embedded collection, the index and the ids too.
    shards : int, optional
        Parts among which a cluster distributes the points. Only on a server.
    replicas : int, optional
        Copies of each part. Only on a server.

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

    @property
    def only_on_a_server(self) -> list[str]:
        """Names of the options that were given and that an embedded collection has not."""
        return [name for name in self.chosen if name in ("shards", "replicas")]
