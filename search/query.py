"""Queries: a picture, a stored point, or a feature.

In: what a caller passes. Out: one of the types of `Query`, validated.
Text is always a path or a dataset's uri.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import numpy as np
from PIL import Image

from cbir.core.errors import CbirError

#: A picture: a path, a dataset's uri such as `mnist:test/7`, or a Pillow image.
Picture = str | Path | Image.Image


@dataclass(frozen=True)
class StoredPoint:
    """A point of the collection, by its id; searched for by its vector, and not among its own hits."""

    id: str


#: What can be searched for; an ndarray is a feature, (d,) float32.
Query = Picture | StoredPoint | np.ndarray


class QueryError(CbirError):
    """A query that is of no kind that can be searched for."""


def is_picture(query: object) -> TypeGuard[Picture]:
    """Return whether a query is a picture."""
    return isinstance(query, str | Path | Image.Image)


def validated_queries(queries: Sequence[Query], *, invert: bool = False) -> list[Query]:
    """Return several queries as a list.

    Raises
    ------
    QueryError
        A single query, one that is of another type, or `invert` for what is not a picture.
    """
    if is_picture(queries) or isinstance(queries, StoredPoint):
        raise QueryError("a single query was given where several are expected: put it into a list")
    for query in queries:
        if not is_picture(query) and not isinstance(query, StoredPoint | np.ndarray):
            raise QueryError(
                f"a query is a path, a uri, a Pillow image, a StoredPoint or a feature (ndarray), "
                f"not a {type(query).__name__}"
            )
        if invert and not is_picture(query):
            raise QueryError("invert is for pictures; a stored point or a feature cannot be inverted")
    return list(queries)


def validated_feature(feature: np.ndarray, dimension: int) -> np.ndarray:
    """Return a feature as (d,) float32.

    Raises
    ------
    QueryError
        Another shape, or values that are not numbers. (NaN is refused by the collection.)
    """
    if feature.shape != (dimension,) or feature.dtype.kind not in "fiu":
        raise QueryError(
            f"a feature to search for is an array of {dimension} numbers, not of shape {feature.shape} and "
            f"type {feature.dtype}; a picture is given as a path, a uri or a Pillow image"
        )
    return feature.astype(np.float32)


def named(query: Query) -> str:
    """Return what a message calls a query."""
    if isinstance(query, StoredPoint):
        return query.id
    return str(query) if isinstance(query, str | Path) else "the query"
