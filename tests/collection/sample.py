"""Metadata and points for the tests of collections."""

import uuid

import numpy as np
import pytest

from cbir.collection.interface import Collection
from cbir.collection.metadata import Metadata

METADATA = Metadata(
    fingerprint="0123456789abcdef",
    dimension=4,
    model="m",
    sources=("s",),
    input_shape=(28, 28, 1),
    version="0",
    created="2026-01-01T00:00:00+00:00",
    updated="2026-01-01T00:00:00+00:00",
)


IN_MEMORY = pytest.param(
    "in memory",
    marks=[
        pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
        pytest.mark.filterwarnings("ignore:Local mode performs exact"),
    ],
)


def ids(count: int) -> list[str]:
    return [str(uuid.uuid5(uuid.NAMESPACE_URL, str(n))) for n in range(count)]


def fill(collection: Collection, vectors: np.ndarray, labels: list[int | str | None] | None = None) -> list[str]:
    labels = labels or [None] * len(vectors)
    payloads = [{"uri": f"u{n}"} | ({} if label is None else {"label": label}) for n, label in enumerate(labels)]
    collection.upsert(ids(len(vectors)), vectors, payloads)
    return ids(len(vectors))
