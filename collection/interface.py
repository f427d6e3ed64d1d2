"""The nouns and verbs of every home a collection can have.

`Engine` makes, finds and replaces collections; `Collection` stores and finds
points. Embedded (embedded.py) and served Qdrant answer to the same verbs.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cbir.core.errors import CbirError

Payload = dict[str, Any]
Label = int | str

_NAME = re.compile(r"[^\W_][\w.\- ]{0,99}")
_NAME_BYTES = 200

#: Payload field to the values allowed in it; all fields must match.
Where = Mapping[str, Sequence[Label]]

#: Payload fields that searches filter by, indexed once a point has them: what it shows, and its short binary code.
FILTERED = ("label", "code")

#: Told how many of how many steps are done.
Report = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Report to nobody."""


class CollectionError(CbirError):
    """A collection that is missing, damaged, in use or does not fit."""


class CollectionBusyError(CollectionError):
    """Another process holds the collection."""


@dataclass(frozen=True)
class Hit:
    """One found point.

    Attributes
    ----------
    id : str
        Point id, a UUID.
    distance : float
        Euclidean distance (not squared) to the query's feature.
    label : int, str or None
    uri : str
        Where the image is.
    payload : dict
        Everything stored with the point.
    """

    id: str
    distance: float
    label: Label | None
    uri: str
    payload: Payload

    @classmethod
    def of(cls, point: Any) -> "Hit":
        """Make a hit of what either of Qdrant's clients calls a scored point."""
        payload = point.payload or {}
        return cls(str(point.id), float(point.score), payload.get("label"), payload.get("uri", ""), payload)


@dataclass(frozen=True)
class Metadata:
    """What a collection remembers about how it was filled.

    Attributes
    ----------
    fingerprint : str
        Of the encoder; no other encoder may add to or search this collection.
    dimension : int
        Values in a feature.
    model : str
        Name of the model bundle.
    sources : tuple of str
        Named datasets and paths of folders, in the order they were ingested.
    input_shape : tuple of int
        (height, width, channels) of the encoder's input.
    background : tuple (mean, standard deviation, count) or None
        Border brightness of the stored images, in [0, 1].
    smooth : int
        Each feature is stored as its average with so many nearest; 0: as the encoder made it.
    version : str
        The cbir that wrote it.
    created, updated : str
        ISO 8601, UTC.
    """

    fingerprint: str
    dimension: int
    model: str
    sources: tuple[str, ...]
    input_shape: tuple[int, int, int]
    version: str
    created: str
    updated: str
    background: tuple[float, float, int] | None = None
    smooth: int = 0

    @classmethod
    def from_json(cls, card: Mapping[str, Any]) -> "Metadata":
        """Read what `dataclasses.asdict` became as JSON; KeyError, TypeError or ValueError if it is not that."""
        height, width, channels = card["input_shape"]
        mean, deviation, count = card.get("background") or (0.0, 0.0, 0)
        if not _fit(card["model"]):
            raise ValueError("the model's name is none")  # it is to become a path
        return cls(
            **{
                **card,
                "sources": tuple(card["sources"]),
                "input_shape": (height, width, channels),
                "background": (mean, deviation, count) if count else None,
                "smooth": operator.index(card.get("smooth", 0)),  # cards before smoothing have none
            }
        )


@dataclass(frozen=True)
class Page:
    """A stretch of a scroll: `ids` n strings, `vectors` (n, d) float32, `payloads` n dicts."""

    ids: list[str]
    vectors: np.ndarray
    payloads: list[Payload] = field(repr=False)


@dataclass(frozen=True)
class Info:
    """Size of a collection: points stored, points in the HNSW index, bytes on disk (None: not told), where."""

    points: int
    indexed: int
    bytes: int | None
    location: str


class Collection(Protocol):
    """Named points in Qdrant: Euclidean distance, the default unnamed vector."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def metadata(self) -> Metadata:
        """What it remembers about how it was filled."""
        ...

    def remember(self, metadata: Metadata) -> None:
        """Replace the metadata, all or nothing; dimension and fingerprint stay."""
        ...

    def upsert(self, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        """Insert or replace points; (n, d) finite float32 vectors. Durable when it returns."""
        ...

    def payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        """Return the payloads of those of `ids` that are stored."""
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the vectors, (d,) float32, of those of `ids` that are stored."""
        ...

    def search(self, vector: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False) -> list[Hit]:
        """Return the k closest points, closest first."""
        ...

    def search_batch(
        self, vectors: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False
    ) -> list[list[Hit]]:
        """Search each row of (n, d) `vectors`; cheaper than one by one."""
        ...

    def scroll(self, *, vectors: bool = True, page: int = 4096) -> Iterator[Page]:
        """Yield all points in the order of their ids."""
        ...

    def count(self, *, where: Where | None = None) -> int:
        """Count points exactly."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are ignored."""
        ...

    def hold_index(self) -> None:
        """Put the HNSW index off while many points are loaded; `build_index` ends that."""
        ...

    def index_pays(self) -> bool:
        """Tell whether an HNSW index would save more than it costs, or Qdrant is to decide that."""
        ...

    def build_index(self, *, small: bool = False, report: Report = silent) -> None:
        """Build the HNSW index; blocks. `small`: also where Qdrant finds too few points to be worth it."""
        ...

    def info(self) -> Info:
        """Tell sizes."""
        ...

    def close(self) -> None:
        """Write everything out and let go."""
        ...


class Engine(Protocol):
    """A home of collections."""

    @property
    def location(self) -> str:
        """Where it is: a folder, or a server's address."""
        ...

    def names(self) -> list[str]:
        """List collections by name."""
        ...

    def metadata(self, name: str) -> Metadata:
        """Read a collection's metadata without opening it."""
        ...

    def open(self, name: str) -> Collection:
        """Open a collection; CollectionError if there is none of this name."""
        ...

    def create(self, name: str, metadata: Metadata) -> Collection:
        """Make an empty collection; CollectionError if there is one of this name."""
        ...

    def replacement(self, name: str, metadata: Metadata) -> AbstractContextManager[Collection]:
        """Yield an empty collection that takes the place of `name`, if there is one, when the block ends well.

        The one in place may be damaged, and is searched until then.
        """
        ...

    def writing(self, name: str) -> AbstractContextManager[None]:
        """Hold the right to fill `name`; CollectionBusyError at once if another process has it."""
        ...

    def delete(self, name: str) -> None:
        """Remove a collection and all its points."""
        ...

    def close(self) -> None:
        """Let go of connections; the next call makes them again."""
        ...

    def snapshot(self, name: str, path: Path, report: Report = silent) -> None:
        """Write all of a collection, as it is at one moment, into a file."""
        ...

    def restore(self, path: Path, name: str, report: Report = silent) -> None:
        """Make collection `name`, which must not exist, from what `snapshot` wrote; all or nothing."""
        ...


def check_encoder(name: str, metadata: Metadata, fingerprint: str, model: object) -> None:
    """Refuse an encoder that did not fill the collection: distances between their features mean nothing.

    Raises
    ------
    CollectionError
        Naming both encoders.
    """
    if fingerprint != metadata.fingerprint:
        raise CollectionError(
            f"collection '{name}' was filled by encoder {metadata.fingerprint} (model '{metadata.model}'), "
            f"but {model} is encoder {fingerprint}; use that model, or ingest into another --collection"
        )


def check_smooth(name: str, metadata: Metadata, smooth: int) -> None:
    """Refuse features that are averaged with more or fewer nearest than the collection's.

    Raises
    ------
    CollectionError
        Naming both numbers.
    """
    if smooth != metadata.smooth:
        raise CollectionError(
            f"the features of collection '{name}' are stored with --smooth {metadata.smooth}, not {smooth}; "
            "use that, name another --collection, or build this one anew with cbir ingest --retrain"
        )


def holds(stored: Payload | None, wanted: Payload) -> bool:
    """Tell whether a stored payload is the wanted one, fields of other tools' aside."""
    if stored is None or ("label" in stored) != ("label" in wanted):
        return False
    return all(field in stored and stored[field] == value for field, value in wanted.items())


def first_values(payloads: Sequence[Payload]) -> dict[str, Label]:
    """Return the first value of each field of `FILTERED` that some payload has."""
    found = ((field, next((p[field] for p in payloads if p.get(field) is not None), None)) for field in FILTERED)
    return {field: value for field, value in found if value is not None}


def missing(name: str, location: str, names: Sequence[str]) -> CollectionError:
    """Say that there is no such collection, which there are, and how to make one."""
    have = f"there are: {', '.join(names)}" if names else "there is none yet"
    return CollectionError(f"no collection '{name}' in {location} ({have}); make one with: cbir ingest")


def checked_name(name: str) -> str:
    """Return a name fit for a folder on any system, and for a server.

    Raises
    ------
    CollectionError
        Empty, too long, or with characters that a path would read otherwise.
    """
    if not _fit(name):
        raise CollectionError(
            f"'{name}' cannot name a collection: use letters, digits, '-', '_', '.' and spaces, "
            "beginning with a letter or digit"
        )
    return name


def _fit(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and not name.endswith((" ", ".")) and len(name.encode()) <= _NAME_BYTES


def checked_vectors(vectors: np.ndarray, dimension: int) -> np.ndarray:
    """Return (n, d) float32 vectors, or refuse them before Qdrant accepts what it should not.

    Raises
    ------
    CollectionError
        Another dimension, or NaN or infinite values.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise CollectionError(f"the collection holds vectors of {dimension} values, not of shape {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise CollectionError("a vector holds NaN or infinite values; nothing was stored or searched")
    return vectors


def checked_points(ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload], dimension: int) -> np.ndarray:
    """Return (n, d) float32 vectors that have an id and a payload each.

    Raises
    ------
    CollectionError
        Numbers that do not match, or vectors that `checked_vectors` refuses.
    """
    vectors = checked_vectors(vectors, dimension)
    if not len(ids) == len(vectors) == len(payloads):
        raise CollectionError(f"{len(ids)} ids, {len(vectors)} vectors and {len(payloads)} payloads do not match")
    return vectors


def checked_values(field: str, values: Sequence[object]) -> list[list[int] | list[str]]:
    """Return the values that a filter allows, whole numbers and texts apart, as Qdrant wants them.

    Of no values, one empty list, which nothing matches: without a list every point would.

    Raises
    ------
    CollectionError
        A single text in place of a sequence, or a value of another kind.
    """
    if isinstance(values, str):
        raise CollectionError(f"the values allowed in '{field}' must be a list, not the text {values!r}")
    whole = [int(value) for value in values if isinstance(value, Integral)]
    texts = [value for value in values if isinstance(value, str)]
    if len(whole) + len(texts) != len(values):
        other = next(value for value in values if not isinstance(value, Integral | str))
        raise CollectionError(f"a filter on '{field}' takes whole numbers and texts, not {other!r}")
    return [kind for kind in (whole, texts) if kind] or [[]]


def checked_k(k: int) -> int:
    """Return k, or the most that Qdrant can count if that is less; refuse a number of results below 1."""
    if k < 1:
        raise CollectionError(f"k must be at least 1, not {k}")
    return min(k, 2**31 - 1)
