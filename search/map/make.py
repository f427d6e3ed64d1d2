"""A map is made of a collection, brought up to date, or arranged by neighbours.

In: an open collection, and the map that was made of it before. Out: a `Map` of all its points as they are now. What
had a place keeps it; what is new comes beside its neighbours; what is gone leaves.
"""

from dataclasses import dataclass, replace

import numpy as np

from cbir.collection.interface import Collection
from cbir.collection.point import raw_ids
from cbir.core.progress import Progress, silent
from cbir.search.map.kept import Map, keys
from cbir.search.map.neighbouring import FEWEST, MOST, arranged
from cbir.search.map.placing import beside
from cbir.search.map.principal import Principal, features, principal

#: Components are learned anew once there are so many times the points of which they were learned, or so much fewer.
_GROWN = 1.25
_SEED = 0


def make_map(collection: Collection, before: Map | None = None, progress: Progress = silent) -> Map:
    """Make a map by principal components, or bring one up to date.

    Parameters
    ----------
    collection : Collection
    before : Map, optional
        Of the same collection and encoder.
    progress : Progress
        Stages `learn`, `read`, `place`.
    """
    count = collection.count()
    if before is not None:
        ids = _ids(collection)
        if np.array_equal(ids, before.ids):
            return before
        count = len(ids)
    learned = 0 if before is None else before.learned
    if before is None or not learned / _GROWN <= count <= learned * _GROWN:
        components, learned = principal(collection, progress), count
    else:
        components = before.components
    arranged = before is not None and before.neighbours is not None
    read = _reduced(collection, components if arranged else components.first_two, progress)
    made = Map(collection.metadata.fingerprint, read.ids, _first_two(read.values), None, 0, learned, components)
    if before is None or before.neighbours is None:
        return made
    return _with_places(made, read.values, before.ids, before.neighbours, before.placed, progress)


def arrange_map(collection: Collection, before: Map, progress: Progress = silent, threads: int | None = None) -> Map:
    """Arrange a map's points by their neighbours, all of them anew.

    Of more than `MOST` points, so many are arranged, and the others placed beside these.

    Parameters
    ----------
    collection : Collection
    before : Map
    progress : Progress
        Stages `read`, `neighbours`, `arrange`, `place`.
    threads : int, optional

    Raises
    ------
    CbirError
        As of `cbir.search.map.neighbouring.arranged`.
    """
    read = _reduced(collection, before.components, progress)
    made = replace(before, ids=read.ids, principal=_first_two(read.values), neighbours=None, placed=0)
    rows = np.arange(len(read.ids))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(_SEED).permutation(len(rows))[:MOST])
    places = arranged(read.values[rows], made.principal[rows], progress, threads)
    return _with_places(made, read.values, read.ids[rows], places, 0, progress)


def can_be_arranged(made: Map) -> bool:
    """Tell whether there are points enough."""
    return len(made.ids) >= FEWEST


def rows_of(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return in which rows of rising ids others are, (m,); -1: in none.

    Parameters
    ----------
    ids : ndarray of uint8, shape (n, 16)
    wanted : ndarray of uint8, shape (m, 16)
    """
    if not len(ids):
        return np.full(len(wanted), -1)
    known, new = keys(ids), keys(wanted)
    at = np.minimum(np.searchsorted(known, new), len(known) - 1)
    return np.where(known[at] == new, at, -1)


@dataclass(frozen=True)
class _Read:
    """All points in the order of their ids, (n, 16) uint8, and their components' values, (n, r)."""

    ids: np.ndarray
    values: np.ndarray


def _ids(collection: Collection) -> np.ndarray:
    pages = [raw_ids(page.ids) for page in collection.scroll(vectors=False, fields=[])]
    ids = np.concatenate([np.zeros((0, 16), np.uint8), *pages])
    return ids[np.argsort(keys(ids))]


def _reduced(collection: Collection, components: Principal, progress: Progress) -> _Read:
    ids = [np.zeros((0, 16), np.uint8)]
    values = [np.zeros((0, len(components.components)), np.float32)]
    for page in features(collection, "read", progress):
        ids.append(raw_ids(page.ids))
        values.append(components.reduced(page.vectors))
    every = np.concatenate(ids)
    order = np.argsort(keys(every))
    return _Read(every[order], np.concatenate(values)[order])


def _with_places(
    made: Map, values: np.ndarray, ids: np.ndarray, places: np.ndarray, placed: int, progress: Progress
) -> Map:
    """Return a map whose points have the places of those of the same ids, or come beside them."""
    at = rows_of(ids, made.ids)
    there = at >= 0
    if not there.any():
        return made
    found = np.empty((len(there), 2), np.float32)
    found[there] = places[at[there]]
    found[~there] = beside(values[~there], values[there], found[there], progress)
    return replace(made, neighbours=found, placed=min(len(there), placed + int((~there).sum())))


def _first_two(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values[:, :2])
