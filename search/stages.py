"""The steps before and after a search: each option of `RankingOptions`, put to work in one place.

In: features, rankings, and the points they come from. Out: other features to
search with, other rankings. A search and an evaluation call the same three
functions and know none of the options.
"""

from collections.abc import Sequence

import numpy as np

from cbir.collection.point import Hit
from cbir.search.expansion import expand
from cbir.search.neighbours import Key, Neighbours, Ranking
from cbir.search.options import RankingOptions
from cbir.search.rerank import DEPTH, rerank


def before(neighbours: Neighbours[Key], features: np.ndarray, options: RankingOptions) -> np.ndarray:
    """Return the features, (m, d) float32, to search with in place of the queries' own."""
    if options.expand:
        features = expand(neighbours, features, options.expand)
    return features


def depth(options: RankingOptions) -> int:
    """Return how many points of each ranking `after` looks at; 0 if it has nothing to do."""
    return DEPTH if options.rerank else 0


def after(
    neighbours: Neighbours[Key], features: np.ndarray, rankings: Sequence[Ranking[Key]], options: RankingOptions
) -> Sequence[Ranking[Key]]:
    """Return the rankings in their final order; `features` are those that were searched with."""
    if options.rerank:
        rankings = rerank(neighbours, features, rankings)
    return rankings


def hits_after(
    neighbours: Neighbours[str], features: np.ndarray, found: list[list[Hit]], options: RankingOptions
) -> list[list[Hit]]:
    """Return hits in the order that `after` gives their rankings."""
    if not depth(options):
        return found
    distances = [np.array([hit.distance for hit in hits], np.float32) for hits in found]
    rankings = [Ranking([hit.id for hit in hits], far) for hits, far in zip(found, distances, strict=True)]
    by_id = [{hit.id: hit for hit in hits} for hits in found]
    reordered = after(neighbours, features, rankings, options)
    return [[hits[key] for key in ranking.keys] for hits, ranking in zip(by_id, reordered, strict=True)]
