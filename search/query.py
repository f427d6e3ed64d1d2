"""Queries: a picture, a stored point, a feature, words, or a combination of these.

In: what a caller passes. Out: one of the types of `Query`, validated.
A str is a path or a dataset's uri, unless a search's option `text` says that
it is words. What is typed on a command line is read by `cbir.search.terms`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import NamedTuple, TypeGuard, cast

import numpy as np
from PIL import Image

from cbir.core.errors import CbirError
from cbir.search.piped import Piped

#: A picture: a path, a dataset's uri such as `mnist:test/7`, a Pillow image, or what came through a pipe.
Picture = str | Path | Image.Image | Piped


class QueryError(CbirError):
    """A query that is of no kind that can be searched for."""


@dataclass(frozen=True)
class StoredPoint:
    """A point of the collection, by its id; searched for by its vector, and not among its own hits."""

    id: str


@dataclass(frozen=True)
class Words:
    """What a picture should show, in words, for a collection whose encoder has a text tower.

    Raises
    ------
    QueryError
        Nothing that can be read, or a control character. (White space of all kinds becomes single spaces.)
    """

    text: str

    def __post_init__(self) -> None:
        text = " ".join(self.text.split())
        for character in text:
            if character < " " or "\x7f" <= character < "\xa0" or "\ud800" <= character < "\ue000":
                raise QueryError(f"words to search for hold {character!a}, which is no letter or sign")
        if not any(character.isprintable() for character in text):
            raise QueryError("a query is empty: name a picture, or say in words what the pictures show")
        object.__setattr__(self, "text", text)


#: What can be searched for, or be a term of a combination; an ndarray is a feature, (d,) float32.
Single = Picture | StoredPoint | np.ndarray | Words


class Term(NamedTuple):
    """A term of a combination: below 0, the weight says what hits should be unlike."""

    weight: float
    query: Single


@dataclass(frozen=True)
class Combination:
    """Queries that are added and subtracted, each by its weight; see `cbir.search.combination`.

    Attributes
    ----------
    terms : sequence of (float, query)
        The first weight is above 0. Stored points among them are not among the hits.

    Raises
    ------
    QueryError
        No terms, a weight that is 0 or not finite, or a term that is no query.

    Examples
    --------
    >>> two = Combination([(1, "cat.jpg"), (-0.5, Words("black"))])
    >>> two.terms[1].weight
    -0.5
    """

    terms: Sequence[Term]

    def __post_init__(self) -> None:
        terms = tuple(Term(checked_weight(weight), query) for weight, query in self.terms)
        if not terms or terms[0].weight < 0:
            raise QueryError("a search begins with what the hits should be like, not with what they should be unlike")
        for term in terms:
            _check(term.query)
        object.__setattr__(self, "terms", terms)


#: What can be searched for.
Query = Single | Combination
#: What the keywords `like` and `unlike` of a search list: queries, or pairs of a weight and a query.
Weighed = Single | tuple[float, Single]


def is_picture(query: object) -> TypeGuard[Picture]:
    """Return whether a query is a picture."""
    return isinstance(query, str | Path | Image.Image | Piped)


def terms_of(query: Query) -> Sequence[Term]:
    """Return the terms of a combination; any other query is its own only term."""
    return query.terms if isinstance(query, Combination) else (Term(1.0, query),)


def checked_weight(weight: object) -> float:
    """Return a weight as a float.

    Raises
    ------
    QueryError
        Not a number, 0 or not finite.
    """
    if isinstance(weight, bool) or not isinstance(weight, Real):
        raise QueryError(f"a weight is a number, not {weight!r}")
    if not math.isfinite(weight) or not weight:
        raise QueryError(f"a weight is a finite number other than 0, not {weight}")
    return float(weight)


def asked(query: Query | None, like: Sequence[Weighed] = (), unlike: Sequence[Weighed] = ()) -> Query:
    """Return what a search was asked for: a query, or what its hits should be like and unlike.

    Raises
    ------
    QueryError
        Both or neither, a weight that is not above 0, or a single query where several are expected.
    """
    for listed in (like, unlike):
        if _is_single(listed):
            raise QueryError("like and unlike take several queries: put a single one into a list")
    if query is not None:
        if len(like) or len(unlike):
            raise QueryError("a search takes either a query, or like and unlike")
        return query
    added, subtracted = map(_weighed, like), map(_weighed, unlike)
    terms = [*added, *(Term(-term.weight, term.query) for term in subtracted)]
    combination = Combination(terms)
    # One term is the query itself, whatever its weight: the sum is brought to the terms' length.
    return combination if len(terms) > 1 else terms[0].query


def validated_queries(
    queries: Sequence[Query], *, invert: bool = False, text: bool = False, prune: bool = False
) -> list[Query]:
    """Return several queries as a list.

    Parameters
    ----------
    queries : sequence
    invert : bool
        Whether pictures are to be inverted.
    text : bool
        Whether a str is words.
    prune : bool
        Whether short codes are to be looked up.

    Raises
    ------
    QueryError
        A single query, one that is of another type, `invert` for what is not a picture, or `prune` for a combination.
    """
    if (_is_single(queries) and not isinstance(queries, np.ndarray)) or isinstance(queries, Combination):
        raise QueryError("a single query was given where several are expected: put it into a list")
    read = [_said(query) if text else query for query in queries]
    for query in read:
        if isinstance(query, Combination):
            if prune:
                raise QueryError("prune is for single queries: a sum of features has no short code")
        else:
            _check(query)
        if invert and not all(is_picture(term.query) for term in terms_of(query)):
            raise QueryError("invert is for pictures; words, a stored point or a feature cannot be inverted")
    return read


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
    if isinstance(query, Words):
        return f'"{query.text}"'
    if isinstance(query, Piped):
        return query.name
    return str(query) if isinstance(query, str | Path) else "the query"


def _is_single(query: object) -> TypeGuard[Single]:
    return is_picture(query) or isinstance(query, StoredPoint | np.ndarray | Words)


def _check(query: object) -> None:
    if isinstance(query, Combination):
        raise QueryError("a combination cannot be a term of another; list the terms of both")
    if not _is_single(query):
        raise QueryError(
            f"a query is a path, a uri, a Pillow image, a StoredPoint, Words, a Combination or a feature (ndarray), "
            f"not a {type(query).__name__}"
        )


def _weighed(item: Weighed) -> Term:
    """Return an item of `like` or `unlike` as a term."""
    if not isinstance(item, tuple):
        return Term(1.0, item)
    if len(item) != 2:
        raise QueryError(f"like and unlike list queries, or pairs of a weight and a query, not {item!r}")
    weight = checked_weight(item[0])
    if weight < 0:
        raise QueryError(f"a weight is above 0, not {weight:g}: what hits should be unlike goes into unlike")
    return Term(weight, item[1])


def _said(query: Query) -> Query:
    """Return a query with words in place of each str."""
    if isinstance(query, Combination):
        return Combination([Term(weight, cast("Single", _said(term))) for weight, term in query.terms])
    return Words(query) if isinstance(query, str) else query
