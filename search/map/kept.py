"""A map, and its file: in the folder of an embedded collection, or in the cache where the collection is on a server.

The first goes with its collection; those in the cache are of a server's collection of that name, made at that time, and
are found and removed once there is none (`unused_maps`).

In: a collection's name, and settings. Out: the map that was made last, or None: a file that cannot be read, is of
another encoder or of another version of cbir is as good as none, as a map can be made again.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.collection.embedded.card import MAP
from cbir.collection.metadata import Metadata
from cbir.core.atomic import write_atomic
from cbir.core.disk import size_on_disk
from cbir.core.leftover import Leftover
from cbir.search.map.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cbir.collection.errors import CollectionError
    from cbir.core.settings import Settings

FORMAT = 1
#: Bytes of a file at the most: of twenty million points.
_MOST_BYTES = 1_000_000_000
#: What zipfile raises for a damaged file; RuntimeError: a bit that says it is encrypted.
_NO_ZIP = (zipfile.BadZipFile, RuntimeError, zlib.error)


@dataclass(frozen=True)
class Map:
    """A collection seen whole.

    Attributes
    ----------
    fingerprint : str
        Of the encoder whose features it shows.
    ids : ndarray of uint8, shape (n, 16)
        Of the points, in rising order.
    principal : ndarray of float32, shape (n, 2)
        By the first two principal components.
    neighbours : ndarray of float32, shape (n, 2), or None
        Arranged by neighbours; None if that was not done.
    placed : int
        Points that came into that arrangement later, beside their neighbours.
    learned : int
        Points that the components were learned from.
    components : Principal
    """

    fingerprint: str
    ids: np.ndarray
    principal: np.ndarray
    neighbours: np.ndarray | None
    placed: int
    learned: int
    components: Principal

    @cached_property
    def version(self) -> str:
        """A hash of what it shows."""
        digest = hashlib.sha256()
        for values in (self.ids, self.principal, self.neighbours):
            digest.update(b"-" if values is None else np.ascontiguousarray(values).data)
        return digest.hexdigest()[:16]


def file_of(settings: Settings, name: str, created: str) -> Path:
    """Return where a collection's map is kept, given when the collection was made."""
    if settings.qdrant_url is None:
        return settings.collections / name / MAP
    return _of_server(settings) / f"{_hashed(name, created)}.npz"


def unused_maps(settings: Settings, there: Mapping[str, Metadata | CollectionError]) -> Iterator[Leftover]:
    """Yield the maps of a server's collections that were removed, renamed or made anew.

    Parameters
    ----------
    settings : Settings
        Which name the server.
    there : Mapping
        Its collections. If one of them cannot be read, nothing is yielded.
    """
    known = {name: each.created for name, each in there.items() if isinstance(each, Metadata)}
    if settings.qdrant_url is None or len(known) < len(there):
        return
    used = {file_of(settings, name, created) for name, created in known.items()}
    folder = _of_server(settings)
    # Beside the folders of servers: as an earlier cbir kept them.
    for path in sorted({*folder.glob("*.npz"), *folder.parent.glob("*.npz")} - used):
        yield Leftover("map", path, size_on_disk(path), "of a collection that is no longer on the server")


def _of_server(settings: Settings) -> Path:
    return settings.cache / "maps" / _hashed(settings.qdrant_url or "")


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read_map(file: Path, fingerprint: str, dimension: int) -> Map | None:
    """Read a map; None if there is none of that encoder that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, *_NO_ZIP):
        if file.stat().st_size > _MOST_BYTES:
            return None
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            card = json.loads(bytes(stored["card"]))
            if (card["format"], card["fingerprint"]) != (FORMAT, fingerprint):
                return None
            return _checked(card, stored, dimension)
    return None


def write_map(file: Path, made: Map) -> None:
    """Keep a map; OSError as the system gives it."""
    card = {"format": FORMAT, "fingerprint": made.fingerprint, "placed": made.placed, "learned": made.learned}
    arrays: dict[str, Any] = {
        "card": np.frombuffer(json.dumps(card).encode(), np.uint8),
        "ids": made.ids,
        "principal": made.principal,
        "mean": made.components.mean,
        "components": made.components.components,
    }
    if made.neighbours is not None:
        arrays["neighbours"] = made.neighbours
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_atomic(file, content.getbuffer())


def keys(ids: np.ndarray) -> np.ndarray:
    """Return ids, (n, 16) uint8, as n values that are compared byte by byte."""
    return np.ascontiguousarray(ids).view("S16").ravel()


def _checked(card: dict[str, Any], stored: Any, dimension: int) -> Map:
    """Return a map whose arrays are as they must be; ValueError, KeyError or TypeError if they are not."""
    ids = _array(stored, "ids", np.uint8, (None, 16))
    points = (len(ids), 2)
    rank = len(stored["components"])
    placed, learned = int(card["placed"]), int(card["learned"])
    known = keys(ids)
    if rank < 2 or not (known[1:] > known[:-1]).all() or not 0 <= placed <= len(ids) or learned < 0:
        raise ValueError("it is no map")
    return Map(
        card["fingerprint"],
        ids,
        _array(stored, "principal", np.float32, points),
        _array(stored, "neighbours", np.float32, points) if "neighbours" in stored else None,
        placed,
        learned,
        Principal(
            _array(stored, "mean", np.float32, (dimension,)),
            _array(stored, "components", np.float32, (rank, dimension)),
        ),
    )


def _array(stored: Any, name: str, kind: type, shape: tuple[int | None, ...]) -> np.ndarray:
    array: np.ndarray = stored[name]
    fits = len(array.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype != kind or not fits or not np.isfinite(array).all():
        raise ValueError(f"{name} is not what it must be")
    return array
