"""Checks of what goes into a collection or is searched for, the same for both engines.

Each function refuses what Qdrant would accept silently or misread, with a
`CollectionError` that says what to do.
"""

from collections.abc import Sequence

import numpy as np

from cbir.collection.errors import CollectionError
from cbir.collection.metadata import Metadata
from cbir.collection.point import Payload
from cbir.core.names import is_valid_name, made_name, normalized
from cbir.core.uris import shown

#: Qdrant counts results in 32 bits.
_MAX_RESULTS = 2**31 - 1


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
        Numbers that do not match, or vectors that `validated_vectors` refuses.
    """
    vectors = validated_vectors(vectors, dimension)
    if not len(ids) == len(vectors) == len(payloads):
        raise CollectionError(f"{len(ids)} ids, {len(vectors)} vectors and {len(payloads)} payloads do not match")
    return vectors


def check_payloads(ids: Sequence[str], payloads: Sequence[Payload]) -> None:
    """Refuse payloads that have no id each.

    Raises
    ------
    CollectionError
    """
    if len(ids) != len(payloads):
        raise CollectionError(f"{len(ids)} ids and {len(payloads)} payloads do not match")


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
