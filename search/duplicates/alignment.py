"""How one picture lies in another: keypoints that agree on one homography, or the whole on the whole.

In: the looks of two pictures. Out: an `Alignment`, the map from the pixels of
one to those of the other. Keypoints are matched in both directions, as they are
and mirrored. Of 2,450 pairs of unrelated photographs none had nine that agreed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from cbir.search.duplicates.look import Look, mirrored

#: A match must be closer than this share of the second best's distance (Lowe's ratio).
_RATIO = 0.85
#: Keypoints that must agree on one homography.
LEAST_AGREEING = 9
#: If so many do, it is not tried whether more would agree with the mirrored picture.
_SURE = 40
#: How far a keypoint may lie from where the map puts it, in pixels.
_FAR = 2.0
#: An edit scales both sides alike or nearly so, and by no more than this.
_MOST_STRETCHED, _MOST_SCALED = 2.5, 16.0
#: Correlation of two small copies from which one may be the other as a whole.
_ALIKE = 0.9


@dataclass(frozen=True)
class Alignment:
    """Where a picture's pixels lie in another.

    Attributes
    ----------
    matrix : ndarray of float64, shape (3, 3)
        Affine: from (x, y, 1) of one picture to the other's.
    agreeing : int
        Keypoints that agree; 0 where the whole was laid on the whole.
    error : float
        Median distance of these keypoints from where the matrix puts them, in pixels.
    pairs : ndarray of float32, shape (agreeing, 4)
        Where they are, x and y in one picture and in the other, in pixels of the looks.
    """

    matrix: np.ndarray
    agreeing: int
    error: float
    pairs: np.ndarray = field(default_factory=lambda: np.empty((0, 4), np.float32), repr=False, compare=False)

    @property
    def is_sane(self) -> bool:
        """Whether an edit may have done this: not squashed to a line, not scaled beyond measure."""
        least, most = np.linalg.svd(self.matrix[:2, :2], compute_uv=False)[::-1]
        return bool(most <= _MOST_STRETCHED * least and least >= 1 / _MOST_SCALED and most <= _MOST_SCALED)


def aligned(one: Look, other: Look) -> Alignment | None:
    """Find the homography that most keypoints agree on, and the affine map closest to it; None if too few agree."""
    straight = _agreed(one, other, mirror=False)
    if straight is not None and straight.agreeing >= _SURE:
        return straight
    found = [each for each in (straight, _agreed(one, other, mirror=True)) if each is not None]
    return max(found, key=lambda each: each.agreeing, default=None)


def whole(one: Look, other: Look) -> Iterator[Alignment]:
    """Yield the ways to lay one whole picture on the other in which their small copies are alike."""
    theirs = _centred(other.thumb)
    for turns in range(4):
        for mirror in (False, True):
            thumb = np.rot90(one.thumb, turns)
            ours = _centred(thumb[:, ::-1] if mirror else thumb)
            if _correlation(ours, theirs) >= _ALIKE:
                yield Alignment(_laid(one.shape, other.shape, turns, mirror=mirror), 0, 0.0)


def _agreed(one: Look, other: Look, *, mirror: bool) -> Alignment | None:
    import cv2

    pairs = _matches(one.descriptors, mirrored(other.descriptors) if mirror else other.descriptors)
    if len(pairs) < LEAST_AGREEING:
        return None
    source, target = one.points[pairs[:, 0]], other.points[pairs[:, 1]]
    places = np.hstack([source, target])
    last = other.light.shape[1] - 1
    if mirror:  # OpenCV takes no homography that turns a picture over
        target = np.stack([last - target[:, 0], target[:, 1]], axis=1)
    matrix, mask = cv2.findHomography(source, target, cv2.USAC_MAGSAC, _FAR, maxIters=2000, confidence=0.999)
    if matrix is None:
        return None
    agree = mask.ravel() > 0
    if agree.sum() < LEAST_AGREEING:
        return None
    affine, error = _affine(source[agree].astype(np.float64), target[agree].astype(np.float64))
    if mirror:
        affine = np.array([[-1.0, 0, last], [0, 1, 0], [0, 0, 1]]) @ affine
    return Alignment(affine, int(agree.sum()), error, places[agree])


def _matches(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Pair descriptors (n, 128) and (m, 128) that are each other's closest, and clearly so: (p, 2) rows."""
    if len(ours) < 2 or len(theirs) < 2:
        return np.empty((0, 2), np.intp)
    likeness = ours @ theirs.T
    rows = np.arange(len(ours))
    best = likeness.argmax(axis=1)
    mutual = likeness.argmax(axis=0)[best] == rows
    first = likeness[rows, best]
    likeness[rows, best] = -1
    second = likeness.max(axis=1)
    # Of unit vectors, the squared distance is 2 - 2 x likeness.
    clear = 1 - first < _RATIO**2 * (1 - second)
    return np.stack([rows, best], axis=1)[mutual & clear]


def _affine(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit an affine map by least squares, without the keypoints that it fits worst; return it and the median error."""
    columns = np.column_stack([source, np.ones(len(source))])
    solved = np.linalg.lstsq(columns, target, rcond=None)[0]
    errors = np.linalg.norm(columns @ solved - target, axis=1)
    kept = errors <= max(1.5 * _FAR, 2 * float(np.median(errors)))
    if kept.sum() >= 3:
        solved = np.linalg.lstsq(columns[kept], target[kept], rcond=None)[0]
        errors = np.linalg.norm(columns @ solved - target, axis=1)
    return np.vstack([solved.T, [0, 0, 1]]), float(np.median(errors))


def _centred(thumb: np.ndarray) -> np.ndarray:
    light = thumb.mean(axis=2)
    return light - light.mean()


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Correlate two small copies; pictures of one colour are alike."""
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    plain = max(np.abs(one).max(), np.abs(other).max()) < 4
    return 1.0 if plain else float((one * other).sum()) / max(norm, 1e-9)


def _laid(ours: tuple[int, int], theirs: tuple[int, int], turns: int, *, mirror: bool) -> np.ndarray:
    """Return the matrix that turns a picture by quarters to the left, mirrors it, and stretches it over another."""
    height, width = ours
    matrix = np.eye(3)
    for _ in range(turns):
        matrix = np.array([[0.0, 1, 0], [-1, 0, width - 1], [0, 0, 1]]) @ matrix
        height, width = width, height
    if mirror:
        matrix = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]) @ matrix
    down, across = theirs[0] / height, theirs[1] / width
    # Pixels' middles, not their corners, are at whole numbers.
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]]) @ matrix
