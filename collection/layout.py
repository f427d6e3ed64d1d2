"""How Qdrant is to keep a new collection: smaller copies of its vectors, what stays on disk, how it is spread."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from cbir.collection.errors import CollectionError

QUANTIZATIONS = ("int8", "binary", "turbo")
#: None of these, although the collection that is replaced has one.
NO_QUANTIZATION = "none"

#: How many points a search of smaller copies finds for each that is asked for, before the originals rank them.
OVERSAMPLING = 2.0
#: Values of points that pass a filter up to which a search compares all of them, 25 MB: 50,000 points of 128 take 2 ms.
COMPARED = 6_400_000


@dataclass(frozen=True)
class Layout:
    """Options of a new collection; with None, the collection that it replaces decides, else Qdrant.

    Attributes
    ----------
    quantization : str, optional
        `int8` (scalar), `binary` or `turbo`: a smaller copy of the vectors that is searched
        in memory; the originals rank what it finds, `OVERSAMPLING` times as many as are asked for. `none`: no copy.
    on_disk : bool, optional
        Original vectors stay on disk and are read when needed; in an embedded collection, the index too.
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
    on_disk: bool | None = None
    shards: int | None = None
    replicas: int | None = None

    def __post_init__(self) -> None:
        known = (*QUANTIZATIONS, NO_QUANTIZATION)
        if self.quantization not in (None, *known):
            raise CollectionError(f"unknown quantization '{self.quantization}'; choose one of {', '.join(known)}")
        for name, value in (("shards", self.shards), ("replicas", self.replicas)):
            if value is not None and value < 1:
                raise CollectionError(f"{name} must be at least 1, not {value}")

    @property
    def chosen(self) -> list[str]:
        """Names of the options that were given."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]

    @property
    def only_on_a_server(self) -> list[str]:
        """Names of the options that were given and that an embedded collection has not."""
        return [name for name in self.chosen if name in ("shards", "replicas")]

    def over(self, replaced: "Layout") -> "Layout":
        """Return the layout of a collection that takes the place of one with another layout."""
        given = {name: getattr(self, name) for name in self.chosen}
        return replace(replaced, **given)


def quantization_of(config: Mapping[str, Any] | None) -> str | None:
    """Return the quantization that Qdrant's settings, as JSON, say; None for one that cbir does not offer."""
    kind = next(iter(config or {}), None)
    return "int8" if kind == "scalar" else kind if kind in QUANTIZATIONS else None
