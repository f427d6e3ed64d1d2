"""What two pictures are to each other: the same, edited; alike, as the shots of a burst are; or neither.

In: the looks of two pictures. Out: a `Relation`, or None. Only what is certain is
called edited: somebody may delete one of the two.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from cbir.search.duplicates.agreement import Agreement, agreement
from cbir.search.duplicates.alignment import Alignment, aligned, whole
from cbir.search.duplicates.look import Look

#: Pictures whose shorter side is smaller have too few keypoints: they are compared pixel by pixel, as a whole.
_SMALL = 48
#: Median distance of keypoints from an affine map, in pixels of the look. Perspective is no edit.
_FAR = 2.0
#: Share of both pictures that is outside of the other: of a copy, one lies within the other.
_OUTSIDE = 0.002
#: A camera that is held by hand moves: of two shots neither lies within the other, though they are turned by little.
_WITHIN, _LITTLE = 0.995, 2.5
#: Median correlation, share of windows that do not differ, and the largest part that does: of compression, or blur.
_MEDIAN, _SHARE, _SPOT = 0.9, 0.985, 8
#: As before, where differences are scattered, as JPEG's are.
_SCATTERED_SHARE, _SCATTERED_SPOT = 0.9, 2
#: Of a picture with something laid over: share that does not differ, and flatness of what does.
_UNCOVERED, _SURELY_FLAT, _FLAT, _FLATTER = 0.55, 0.7, 0.6, 0.15
#: Median correlation of the rest of it.
_UNCOVERED_MEDIAN = 0.98
#: Windows below which a picture is too plain to be compared by its texture.
_WINDOWS = 10
#: Root mean square differences, in 255: of small copies of plain pictures; of copies whose cameras name another time.
_PLAIN_DIFFERENCE, _SHOT_DIFFERENCE = 3.0, 3.0
#: Share of the longer side by which sizes may differ and count as the same; and degrees, and share of the area.
_SAME_SIZE, _SAME_ANGLE, _SAME_PART = 0.02, 1.0, 0.03
#: Share of what is around a picture that has one of a few colours, in a frame or on a screen: of 50 pictures'
#: screenshots 0.89 to 0.95, of what was cut off 50 photographs 0.14 to 0.87. Nobody must lose what was cut off.
_FRAME = 0.88

EDITED, ALIKE = "edited", "alike"
#: What was done to a picture that is the same but for its pixels' values.
UNNOTICED = "compressed or retouched"


@dataclass(frozen=True)
class Relation:
    """What two pictures are to each other.

    Attributes
    ----------
    kind : {'edited', 'alike'}
        One is an edited copy of the other, or both are of the same edited; or they show one motif.
    agreeing : int
        Keypoints that agree on one homography; 0 where whole pictures were compared.
    matrix : ndarray, shape (3, 3)
        From pixels of the first look to those of the second.
    covered : tuple of float
        Share of each picture's area that lies within the other.
    laid_over : tuple of bool
        Whether something covers a part of each of them, such as a caption; both, if it cannot be told which.
    shown : tuple of float
        Share of each picture's area that shows the other, where around it there is a frame, a screen, or plain ground;
        else 1.
    """

    kind: str
    agreeing: int
    matrix: np.ndarray
    covered: tuple[float, float]
    laid_over: tuple[bool, bool] = (False, False)
    shown: tuple[float, float] = (1.0, 1.0)

    def turned_round(self) -> "Relation":
        """Return the same, seen from the second picture."""
        return replace(
            self,
            matrix=np.linalg.inv(self.matrix),
            covered=self.covered[::-1],
            laid_over=self.laid_over[::-1],
            shown=self.shown[::-1],
        )


def relation(one: Look, other: Look, *, other_time: bool = False) -> Relation | None:
    """Compare two pictures.

    Parameters
    ----------
    one, other : Look
    other_time : bool
        Whether their cameras say that they were taken at different times: then they are alike at the most, unless
        their pixels are the same but for rounding.

    Returns
    -------
    Relation or None
        None if they show nothing of each other.
    """
    if min(*one.shape, *other.shape) < _SMALL:
        return _small(one, other)
    by_points = aligned(one, other)
    if by_points is not None and by_points.is_sane:
        found = _edited(one, other, by_points, other_time=other_time)
        if found is not None:
            return found
        return Relation(ALIKE, by_points.agreeing, by_points.matrix, (math.nan, math.nan))
    for laid in whole(one, other):
        found = _edited(one, other, laid, other_time=other_time)
        if found is not None:
            return found
    return None


def _edited(one: Look, other: Look, alignment: Alignment, *, other_time: bool) -> Relation | None:
    """Return the relation if one is an edited copy of the other."""
    if alignment.error > _FAR:
        return None
    found = agreement(one, other, alignment.matrix)
    if min(found.outside) > _OUTSIDE or max(found.covered) < 0.5:
        return None
    if max(found.covered) < _WITHIN and abs((_angle(alignment.matrix) + 45) % 90 - 45) < _LITTLE:
        return None
    if found.windows < _WINDOWS:
        same = not alignment.agreeing and _same_thumbs(one, other, alignment.matrix)
        laid_over = False
    else:
        same, laid_over = _agree(found)
    if not same or (other_time and found.difference > _SHOT_DIFFERENCE):
        return None
    flatter = found.flatter[0] > _FLATTER, found.flatter[1] > _FLATTER
    return Relation(
        EDITED,
        alignment.agreeing,
        alignment.matrix,
        found.covered,
        laid_over=(flatter if any(flatter) else (True, True)) if laid_over else (False, False),
        shown=(_shown(found, 0), _shown(found, 1)),
    )


def _agree(found: Agreement) -> tuple[bool, bool]:
    """Return whether two pictures are the same, and whether something was laid over one of them."""
    if found.median < _MEDIAN:
        return False, False
    if found.share >= _SHARE and found.spot <= _SPOT:
        return True, False
    if found.share >= _SCATTERED_SHARE and found.spot <= _SCATTERED_SPOT:
        return True, False
    flat = found.flat >= _SURELY_FLAT or (found.flat >= _FLAT and max(found.flatter) >= _FLATTER)
    covered = found.share >= _UNCOVERED and found.median >= _UNCOVERED_MEDIAN and flat
    return covered, covered


def _shown(found: Agreement, place: int) -> float:
    """Return the share of a picture that shows the other, if there is a frame around it or black corners; else 1."""
    beyond = 1 - found.covered[place]
    whole = found.covered[1 - place] >= 1 - _SAME_PART or found.outside[place] < found.outside[1 - place]
    framed = beyond > _SAME_PART and whole and found.ground[place] >= _FRAME
    return found.covered[place] if framed else 1.0


def _angle(matrix: np.ndarray) -> float:
    """Return by how many degrees a matrix turns, after mirroring if it does."""
    linear = matrix[:2, :2] @ np.diag([-1.0 if np.linalg.det(matrix[:2, :2]) < 0 else 1.0, 1.0])
    return math.degrees(math.atan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))


def _small(one: Look, other: Look) -> Relation | None:
    for laid in whole(one, other):
        if _same_thumbs(one, other, laid.matrix):
            return Relation(EDITED, 0, laid.matrix, (1.0, 1.0))
    return None


def _same_thumbs(one: Look, other: Look, matrix: np.ndarray) -> bool:
    """Tell whether the small copies differ by rounding and compression only, once laid as the matrix says."""
    turns, mirror = _quarters(matrix)
    thumb = np.rot90(one.thumb, turns)
    thumb = thumb[:, ::-1] if mirror else thumb
    return float(np.sqrt(np.square(thumb.astype(np.float32) - other.thumb).mean())) <= _PLAIN_DIFFERENCE


def _quarters(matrix: np.ndarray) -> tuple[int, bool]:
    """Return quarter turns to the left, and whether a mirror follows them, of a matrix that has no other turn."""
    mirror = bool(np.linalg.det(matrix[:2, :2]) < 0)
    across, down = matrix[0, 0] * (-1 if mirror else 1), matrix[1, 0]
    return round(-math.degrees(math.atan2(down, across)) / 90) % 4, mirror


def described(found: Relation, one: Look, other: Look, sizes: tuple[tuple[int, int], tuple[int, int]]) -> str:
    """Say what was done to the second picture if the first is the original.

    Parameters
    ----------
    found : Relation
        Of kind `edited`.
    one, other : Look
        Of both pictures.
    sizes : two of (int, int)
        Width and height of both whole pictures, in pixels.

    Returns
    -------
    str
        Such as `mirrored, smaller`; `compressed or retouched` where nothing else is found.
    """
    mirror = np.linalg.det(found.matrix[:2, :2]) < 0
    angle = _angle(found.matrix)
    ours, theirs = map(max, sizes)
    said = ["mirrored"] if mirror else []
    if abs(angle) > _SAME_ANGLE:
        said.append(f"turned by {abs(angle):.0f} degrees")
    if found.covered[0] < 1 - _SAME_PART and found.covered[1] > 1 - _SAME_PART:
        said.append(f"a part of it, {found.covered[0]:.0%}")
    elif found.covered[1] < 1 - _SAME_PART and abs((angle + 45) % 90 - 45) <= _SAME_ANGLE:
        said.append("with something around it")
    elif theirs < (1 - _SAME_SIZE) * ours:
        said.append("smaller")
    elif theirs > (1 + _SAME_SIZE) * ours:
        said.append("larger")
    if any(found.laid_over):
        said.append("partly covered or burnt out")
    if other.grey and not one.grey:
        said.append("in grey")
    return ", ".join(said) or UNNOTICED
