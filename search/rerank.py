"""Re-ranking by k-reciprocal neighbours: a hit moves up if its neighbours are the query's neighbours too.

In: a query and its first hits, as features. Out: those hits in a better order.
Nothing else of the collection is looked at: neighbours are those among the
query and its hits, which stand for the neighbours in the full collection. At
the far end of the hits that is rough, as their own neighbours may be no hits.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from cbir.search.neighbours import Key, Neighbours, Ranking

#: Hits re-ranked: 2 ms on one core for a query, and the cost grows with the cube.
DEPTH = 200

#: As in the paper: neighbours that make a neighbourhood, neighbourhoods averaged, weight of the plain distance.
_K1, _K2, _LAMBDA = 20, 6, 0.3


def distances(query: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Return what to order hits by.

    Two features are k-reciprocal neighbours if each is among the k closest of
    the other. A feature is described by its k-reciprocal neighbours (and
    theirs, where the two neighbourhoods mostly agree), weighted by closeness and
    averaged over its own closest; hits are ordered by the Jaccard distance of
    such descriptions to the query's, mixed with the plain distance.

    Parameters
    ----------
    query : ndarray of float32, shape (d,)
    hits : ndarray of float32, shape (n, d)

    Returns
    -------
    ndarray of float32, shape (n,)
        In [0, 1].

    References
    ----------
    Z. Zhong, L. Zheng, D. Cao, S. Li: Re-ranking person re-identification with k-reciprocal encoding. CVPR 2017.
    """
    squared = _squared_distances(np.concatenate([query[None], hits]))
    scaled = squared / np.maximum(squared.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    wide, narrow = _reciprocal(squared, _K1), _reciprocal(squared, _K1 // 2)
    # The narrow neighbourhoods, of those in the wide one, that lie in it to two thirds.
    shared = wide @ narrow.T
    joined = wide * (shared >= 2 / 3 * narrow.sum(axis=1))
    described = np.exp(-scaled) * ((wide + joined @ narrow) > 0)
    described /= described.sum(axis=1, keepdims=True)
    closest = _closest(squared, _K2 - 1).astype(np.float32)
    described = closest @ described / closest.sum(axis=1, keepdims=True)
    common = np.minimum(described[0], described[1:]).sum(axis=1)
    # Both sum to 1: what either has is 2 less what both have.
    jaccard = 1 - common / (2 - common)
    # Rounded, so that features that are the same tie, and tied hits stay in their order.
    return np.round((1 - _LAMBDA) * jaccard + _LAMBDA * scaled[0, 1:], 5)


def rerank(
    neighbours: Neighbours[Key], features: np.ndarray, rankings: Sequence[Ranking[Key]], depth: int = DEPTH
) -> list[Ranking[Key]]:
    """Put the first `depth` points of each ranking into a better order; the others stay behind them as they are.

    Parameters
    ----------
    neighbours : Neighbours
        Gives the points' features.
    features : ndarray of float32, shape (m, d)
        The queries'.
    rankings : sequence of Ranking
        One for each query.
    depth : int

    Returns
    -------
    list of Ranking
        Their first distances are what `distances` gives. A point that is not stored any more is left out.
    """
    stored = neighbours.vectors(chain.from_iterable(ranking.keys[:depth] for ranking in rankings))
    reordered = []
    for feature, ranking in zip(features, rankings, strict=True):
        first = [key for key in ranking.keys[:depth] if key in stored]
        near = distances(feature, np.stack([stored[key] for key in first])) if first else np.empty(0, np.float32)
        order = np.argsort(near, kind="stable")
        keys = [first[place] for place in order]
        behind = ranking.distances[depth:]
        reordered.append(Ranking([*keys, *ranking.keys[depth:]], np.concatenate([near[order], behind])))
    return reordered


def _squared_distances(features: np.ndarray) -> np.ndarray:
    """Return (n, n) float32; 0 on the diagonal and between features that are the same."""
    centred = features - features.mean(axis=0)
    squares = np.einsum("nd,nd->n", centred, centred)
    squared = squares[:, None] + squares - 2 * (centred @ centred.T)
    squared[squared < 1e-5 * (squares[:, None] + squares)] = 0
    np.fill_diagonal(squared, 0)
    return squared


def _closest(squared: np.ndarray, k: int) -> np.ndarray:
    """Return a mask, (n, n) bool, of each row's own feature and its k closest, including all as close as the last."""
    last = min(k, len(squared) - 1)
    return squared <= np.partition(squared, last, axis=1)[:, [last]]


def _reciprocal(squared: np.ndarray, k: int) -> np.ndarray:
    """Return (n, n) float32 (it is multiplied): 1 where two are among each other's k closest, else 0."""
    closest = _closest(squared, k)
    return (closest & closest.T).astype(np.float32)
