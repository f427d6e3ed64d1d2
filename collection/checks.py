"""Checks of what goes into a collection or is searched for, the same for both engines.

Each function refuses what Qdrant would accept silently or misread, with a
`CollectionError` that says what to do.
"""

import itertools
import math
import uuid
from collections.abc import Iterable, Sequence

import numpy as np

from cbir.collection.errors import CollectionError
from cbir.collection.metadata import Metadata
from cbir.collection.point import Payload, is_point_id
from cbir.core.names import is_valid_name, made_name, normalized
from cbir.core.uris import shown

#: Qdrant counts results in 32 bits.
_MAX_RESULTS = 2**31 - 1

#: Levels of a payload's lists and objects: of gRPC's own both sides read 100, and an object takes 3; of JSON, 127.
_MOST_NESTED = 30
#: Whole numbers that are kept as such have 64 bits.
_LARGEST = 2**63


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
            f"use --smooth {metadata.smooth}, name another --collection, or rebuild this one with cbir ingest --retrain"
        )


def validated_name(name: str) -> str:
    """Return the name of a new collection, normalized, which fits a folder on any system, and a server.

    Raises
    ------
    CollectionError
        Empty, too long, with characters that have a meaning in a path, or the name of a device.
    """
    if not is_valid_name(name):
        raise CollectionError(
            f"'{shown(name)}' cannot name a collection: use up to 100 letters, digits, '-', '_', '.' and spaces, "
            "beginning with a letter or digit, and no name that Windows keeps for itself (con, nul, com1, ...); "
            f"such as '{made_name(name)}'"
        )
    return normalized(name)


def validated_vectors(vectors: np.ndarray, dimension: int) -> np.ndarray:
    """Return (n, d) float32 vectors.

    Raises
    ------
    CollectionError
        Another dimension, or NaN or infinite values, which Qdrant would store.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise CollectionError(f"the collection holds vectors of {dimension} values, not of shape {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise CollectionError("a vector holds NaN or infinite values; nothing was stored or searched")
    return vectors


def validated_points(
    ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload], dimension: int
) -> np.ndarray:
    """Return (n, d) float32 vectors that have an id and a payload each.

    Raises
    ------
    CollectionError
        Numbers that do not match, vectors that `validated_vectors` refuses, ids that are no UUIDs, or payloads that
        `check_payloads` refuses.
    """
    vectors = validated_vectors(vectors, dimension)
    if not len(ids) == len(vectors) == len(payloads):
        raise CollectionError(f"{len(ids)} ids, {len(vectors)} vectors and {len(payloads)} payloads do not match")
    check_payloads(ids, payloads)
    for each in ids:
        try:
            if not is_point_id(each):  # nearly all are, and parsing one takes four times as long
                uuid.UUID(each)
        except (ValueError, AttributeError, TypeError):
            raise CollectionError(f"{each!r:.50} cannot be a point's id: it is no UUID") from None
    return vectors


def check_payloads(ids: Sequence[str], payloads: Sequence[Payload]) -> None:
    """Refuse payloads that have no id each, or that Qdrant could not read again.

    It would take what is nested deeply, and then never open the collection again.

    Raises
    ------
    CollectionError
    """
    if len(ids) != len(payloads):
        raise CollectionError(f"{len(ids)} ids and {len(payloads)} payloads do not match")
    for each, payload in zip(ids, payloads, strict=True):
        if not _is_flat(payload) and (problem := _problem(payload, _MOST_NESTED)):
            raise CollectionError(f"the payload of point {each} {problem}; nothing of it was stored")


def _is_flat(payload: Payload) -> bool:
    """Tell whether all values are plain and can be stored, as nearly always: a look in a quarter of the time."""
    for name, value in payload.items():
        kind = type(value)
        if kind is str:
            if not value.isascii() and not _is_unicode(value):
                return False
        elif kind is int:
            if not -_LARGEST < value < _LARGEST:
                return False
        elif kind is float:
            if not math.isfinite(value):
                return False
        elif kind is not bool and value is not None:
            return False
        if type(name) is not str or not name.isascii():
            return False
    return True


def _problem(value: object, levels: int) -> str:
    """Return why a value cannot be stored; empty if it can."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return "" if _is_unicode(value) else "holds text that is not Unicode"
    if isinstance(value, int):
        return "" if abs(value) < _LARGEST else "holds a number that is too large"
    if isinstance(value, float):
        return "" if math.isfinite(value) else "holds NaN or an infinite number"
    if not levels:
        return f"is nested more than {_MOST_NESTED} levels deep"
    if isinstance(value, dict):
        inner: Iterable[object] = itertools.chain(value, value.values())
        if not all(isinstance(key, str) for key in value):
            return "holds a key that is no text"
    elif isinstance(value, list | tuple):
        inner = value
    else:
        return f"holds a {type(value).__name__}, which is no JSON value"
    return next(filter(None, (_problem(each, levels - 1) for each in inner)), "")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def validated_k(k: int) -> int:
    """Return the number of results to ask Qdrant for: k, or the most that Qdrant can count.

    Raises
    ------
    CollectionError
        Below 1.
    """
    if k < 1:
        raise CollectionError(f"k must be at least 1, not {k}")
    return min(k, _MAX_RESULTS)
