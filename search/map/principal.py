"""Principal components of all stored features, learned page by page: memory does not grow with the collection.

In: an open collection. Out: `Principal`, which makes few values of a feature, the first two of which are a map. Signs
are fixed, so that the same features give the same map.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cbir.collection.interface import Collection
from cbir.collection.point import Page
from cbir.core.progress import Progress, silent

#: Components at the most: what neighbours are found by.
MOST = 50
#: Of longer features, the components of so many pictures stand for those of all: their Gram matrix is no larger.
_LONGEST, _SAMPLE = 2048, 2048
#: Components are of length 1 where features vary by so much; others are made shorter or longer, so that squares of what
#: they give are numbers. Values at the most that they give: of what came after they were learned.
_USUAL, _FARTHEST = (1e-6, 1e6), 1e15
#: Points and values read at once.
_PAGE, _VALUES = 4096, 1 << 22


@dataclass(frozen=True)
class Principal:
    """Principal components.

    Attributes
    ----------
    mean : ndarray of float32, shape (d,)
    components : ndarray of float32, shape (r, d)
        Of length 1, or another if features are very large or very small; the one along which they vary most first.
        r is at least 2, some may be zero.
    """

    mean: np.ndarray
    components: np.ndarray

    def reduced(self, features: np.ndarray) -> np.ndarray:
        """Return the components' values, (n, r) float32, of (n, d) features; finite, however large these are."""
        values = (features - self.mean.astype(np.float64)) @ self.components.T.astype(np.float64)
        return np.ascontiguousarray(values.clip(-_FARTHEST, _FARTHEST), np.float32)

    @property
    def first_two(self) -> "Principal":
        """Those that make a map."""
        return Principal(self.mean, self.components[:2])


def principal(collection: Collection, progress: Progress = silent) -> Principal:
    """Learn the principal components of a collection; stage `learn`.

    Features of up to 2048 values by the covariance of all; longer ones by those of 2048 pictures.

    References
    ----------
    Pearson, "On lines and planes of closest fit to systems of points in space", 1901.
    """
    dimension = collection.metadata.dimension
    learned = _of_all if dimension <= _LONGEST else _of_some
    mean, variance, components = learned(collection, dimension, progress)
    components = components[:MOST]
    # Each points to the side of its largest value.
    largest = np.abs(components).argmax(axis=1)[:, None]
    components = components * np.where(np.take_along_axis(components, largest, axis=1) < 0, -1.0, 1.0)
    padded = np.zeros((max(2, len(components)), dimension), np.float32)
    padded[: len(components)] = components * _length(variance)
    return Principal(mean.astype(np.float32), padded)


def features(collection: Collection, stage: str, progress: Progress) -> Iterator[Page]:
    """Yield all points with their vectors, without their fields, and report how far that is."""
    total, done = collection.count(), 0
    size = max(1, min(_PAGE, _VALUES // collection.metadata.dimension))
    progress(stage, 0, total)
    for page in collection.scroll(fields=[], page=size):
        yield page
        done += len(page.ids)
        progress(stage, done, max(total, done))


def _length(variance: float) -> float:
    """Return how long components are to be, given the variance along the first."""
    wide = max(variance, 0.0) ** 0.5
    return 1.0 if wide == 0 or _USUAL[0] <= wide <= _USUAL[1] else 1 / max(wide, 1e-35)


def _of_all(collection: Collection, dimension: int, progress: Progress) -> tuple[np.ndarray, float, np.ndarray]:
    count, first = 0, np.zeros(dimension)
    sums, products = np.zeros(dimension), np.zeros((dimension, dimension))
    for page in features(collection, "learn", progress):
        vectors = page.vectors.astype(np.float64)
        if not count:
            first = vectors.mean(axis=0)  # numbers near zero lose no digits in the products
        vectors -= first
        count += len(vectors)
        sums += vectors.sum(axis=0)
        products += vectors.T @ vectors
    mean = sums / max(1, count)
    variances, components = np.linalg.eigh(products / max(1, count) - np.outer(mean, mean))
    return first + mean, float(variances[-1]), components.T[::-1]


def _of_some(collection: Collection, dimension: int, progress: Progress) -> tuple[np.ndarray, float, np.ndarray]:
    step = -(-collection.count() // _SAMPLE) or 1
    some, row = [np.zeros((0, dimension), np.float32)], 0
    for page in features(collection, "learn", progress):
        some.append(page.vectors[-row % step :: step])
        row += len(page.ids)
    vectors = np.concatenate(some).astype(np.float64)
    mean = vectors.mean(axis=0) if len(vectors) else np.zeros(dimension)
    vectors -= mean
    values, rows = np.linalg.eigh(vectors @ vectors.T)
    most = values.max(initial=0)
    kept = np.flatnonzero(values > most * 1e-9)[::-1][:MOST]
    components = (vectors.T @ rows[:, kept]).T
    return mean, most / max(1, len(vectors)), components / np.linalg.norm(components, axis=1, keepdims=True)
