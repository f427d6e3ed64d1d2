"""Whether two aligned pictures show the same everywhere: what tells an edited copy from another photograph of a motif.

In: two looks and the map from one to the other. Out: an `Agreement`. In a copy
every part that has any texture agrees, whatever happened to light, colour, size or
sharpness; in a burst something has moved, and what the frames show ends
elsewhere. A caption covers parts too, but with few flat colours.
"""

from dataclasses import dataclass

import numpy as np

from cbir.search.duplicates.look import Look

#: Side of the windows that are correlated, in pixels; they overlap by half.
_WINDOW = 12
#: Standard deviation, in 255, from which a window has texture; correlation at which it certainly does not agree.
_TEXTURE, _DIFFERS = 3.0, 0.6
#: Pictures are compared at their own size, then at half and a quarter of it, until this median correlation is reached:
#: a blurred copy agrees once its original is as coarse.
_CLOSE, _SIZES, _SHORTEST = 0.95, 3, 64
#: Light that cannot be told any more, and the share of a window that may be so in one of both pictures only.
_DARK, _BURNT, _CLIPPED = 4, 250, 0.5
#: Share of a window from which a few pixels count.
_SPOILT = 0.05
#: Differences of light: of what is laid over a picture; around a colour that counts as the same; of a plain ground.
_COVERED, _SAME, _PLAIN = 25, 12, 12
#: Colours of a screen around a picture, and by how much JPEG changes them.
_GROUNDS, _LEVEL = 4, 2


@dataclass(frozen=True)
class Agreement:
    """How far two aligned pictures agree where they overlap.

    Attributes
    ----------
    windows : int
        Windows with texture that were compared.
    median : float
        Their median correlation; 0 without a window.
    share : float
        Share of them that do not differ.
    spot : int
        Windows of the largest connected part that differs.
    flat : float
        Share of the changed pixels in parts that differ which have one of two colours, in the picture where it is
        larger: letters are flat, things are not. 0 if next to nothing has changed.
    flatter : tuple of float
        By how much that share is larger in each picture than in the other; 0 in one of them.
    outside : tuple of float
        Share of each picture's area that lies outside of the other and is not plain.
    ground : tuple of float
        Share of what lies outside of the other picture that has one of a few colours, as a frame, a screen and black
        corners have; 1 if nothing lies outside.
    covered : tuple of float
        Share of each picture's area that lies within the other.
    difference : float
        Root mean square difference of light where they overlap, in 255, at their own size.
    """

    windows: int
    median: float
    share: float
    spot: int
    flat: float
    flatter: tuple[float, float]
    outside: tuple[float, float]
    ground: tuple[float, float]
    covered: tuple[float, float]
    difference: float


def agreement(one: Look, other: Look, matrix: np.ndarray) -> Agreement:
    """Compare two pictures where they overlap.

    Parameters
    ----------
    one, other : Look
    matrix : ndarray, shape (3, 3)
        Affine, from pixels of `one` to pixels of `other`.
    """
    import cv2

    finer, coarser = one.light.astype(np.float32), other.light.astype(np.float32)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    swapped = scale > 1
    if swapped:
        finer, coarser, matrix, scale = coarser, finer, np.linalg.inv(matrix), 1 / scale
    smooth = cv2.GaussianBlur(finer, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1)) if scale < 0.95 else finer
    size = (coarser.shape[1], coarser.shape[0])
    moved = cv2.warpPerspective(smooth, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpPerspective(np.ones_like(finer), matrix, size, flags=cv2.INTER_NEAREST)
    back = cv2.warpPerspective(np.ones_like(coarser), np.linalg.inv(matrix), finer.shape[::-1], flags=cv2.INTER_NEAREST)
    beyond = _beyond(finer, back), _beyond(coarser, inside)
    outside = _outside(beyond[0], finer.size), _outside(beyond[1], coarser.size)
    ground, covered = (_ground(beyond[0]), _ground(beyond[1])), (float(back.mean()), float(inside.mean()))
    overlap = cv2.erode(inside, np.ones((5, 5)), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    shown = overlap > 0
    squared = np.square(moved - coarser)[shown].mean() if shown.any() else 255.0**2
    windows, median, share, spot, flat, flatter = _compared(moved, coarser, overlap)
    return Agreement(
        windows=windows,
        median=median,
        share=share,
        spot=spot,
        flat=flat,
        flatter=flatter[::-1] if swapped else flatter,
        outside=outside[::-1] if swapped else outside,
        ground=ground[::-1] if swapped else ground,
        covered=covered[::-1] if swapped else covered,
        difference=float(np.sqrt(squared)),
    )


def _compared(
    one: np.ndarray, other: np.ndarray, overlap: np.ndarray
) -> tuple[int, float, float, int, float, tuple[float, float]]:
    """Return the first six values of an `Agreement`, at the largest size at which most windows correlate."""
    import cv2

    for size in range(_SIZES):
        if size:
            one, other, overlap = (
                cv2.resize(each, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for each in (one, other, overlap)
            )
        correlation, textured = _windows(one, other, overlap)
        values = correlation[textured]
        median = float(np.median(values)) if len(values) else 0.0
        if median >= _CLOSE or min(one.shape) < _SHORTEST:
            break
    if not len(values):
        return 0, 0.0, 0.0, 0, 0.0, (0.0, 0.0)
    differs = textured & (correlation < _DIFFERS)
    apart = _apart(one, other, overlap, differs) if differs.any() else np.zeros_like(one)
    differs &= ~_burnt(one, other, apart)
    if not differs.any():
        return len(values), median, 1.0, 0, 0.0, (0.0, 0.0)
    *_, parts, _ = cv2.connectedComponentsWithStats(differs.astype(np.uint8), connectivity=8)
    changed = _part(differs, one) & (overlap > 0.5) & (apart > _COVERED)
    flat, flatter = _flatness(one, other, changed)
    share = 1 - float(differs.sum()) / len(values)
    return len(values), median, share, int(parts[1:, cv2.CC_STAT_AREA].max()), flat, flatter


def _windows(one: np.ndarray, other: np.ndarray, overlap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlate windows of two pictures (h, w); return the correlations, and which windows have texture and count."""
    import cv2

    def clipped(light: np.ndarray) -> np.ndarray:
        return _mean(_is_clipped(light)) > _CLIPPED

    a, b = (cv2.GaussianBlur(each, (0, 0), 1.0) for each in (one, other))
    mean_a, mean_b = _mean(a), _mean(b)
    both = _mean(a * b) - mean_a * mean_b
    var_a = np.maximum(_mean(a * a) - mean_a**2, 0)
    var_b = np.maximum(_mean(b * b) - mean_b**2, 0)
    counts = (_mean(overlap) > 0.99) & (np.maximum(var_a, var_b) > _TEXTURE**2)
    counts &= clipped(one) == clipped(other)  # what was burnt by making a picture brighter is no difference
    return both / np.sqrt(var_a * var_b + 1), counts


def _mean(values: np.ndarray) -> np.ndarray:
    """Average the windows of (h, w) values; they overlap by half."""
    import cv2

    means = cv2.boxFilter(values.astype(np.float32), -1, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REPLICATE)
    return means[_WINDOW // 2 :: _WINDOW // 2, _WINDOW // 2 :: _WINDOW // 2]


def _is_clipped(light: np.ndarray) -> np.ndarray:
    return (light <= _DARK) | (light >= _BURNT)


def _part(windows: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return which pixels of (h, w) belong to windows."""
    import cv2

    return cv2.resize(windows.astype(np.uint8), light.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _apart(one: np.ndarray, other: np.ndarray, overlap: np.ndarray, differs: np.ndarray) -> np.ndarray:
    """Return how far light is from what the rest of the pictures lets expect, (h, w) in 255.

    Brightness and contrast of the rest decide, either way: what is burnt in one picture may be anything bright in the
    other.
    """
    same = (overlap > 0.5) & ~_part(differs, one)
    if same.sum() < 50 or np.ptp(one[same][::7]) < _SAME:
        return np.abs(one - other)
    gain, shift = np.polyfit(one[same][::7], other[same][::7], 1)
    forth = np.abs((gain * one + shift).clip(0, 255) - other)
    if abs(gain) < 0.05:
        return forth
    return np.minimum(forth, np.abs(((other - shift) / gain).clip(0, 255) - one))


def _burnt(one: np.ndarray, other: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Return the windows that differ by what was burnt in one of both pictures, and by nothing else."""
    return (_mean(_is_clipped(one) != _is_clipped(other)) > _SPOILT) & (_mean(apart > _SAME) < _SPOILT)


def _flatness(one: np.ndarray, other: np.ndarray, changed: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return how flat the colours of changed pixels are, and by how much flatter in each picture than in the other."""
    if changed.sum() <= 20:
        return 0.0, (0.0, 0.0)
    ours, theirs = (_two_colours(light[changed]) for light in (one, other))
    return max(ours, theirs), (max(0.0, ours - theirs), max(0.0, theirs - ours))


def _two_colours(values: np.ndarray) -> float:
    """Return the share of values (n,) that are close to one of the two most frequent ones."""
    counts = np.bincount(np.rint(values.clip(0, 255)).astype(np.intp), minlength=256).astype(np.float64)
    around = np.ones(2 * _SAME + 1)
    near = np.convolve(counts, around, "same")
    first = int(near.argmax())
    counts[max(0, first - _SAME) : first + _SAME + 1] = 0
    return float((near[first] + np.convolve(counts, around, "same").max()) / len(values))


def _beyond(light: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the light of a picture, (n,), that lies outside of the other's."""
    import cv2

    return light[cv2.dilate(inside, np.ones((5, 5))) < 0.5]


def _outside(beyond: np.ndarray, area: int) -> float:
    """Return the share of a picture's area that lies outside of the other's and is not of one colour."""
    return float((np.abs(beyond - np.median(beyond)) > _PLAIN).sum() / area) if beyond.size else 0.0


def _ground(beyond: np.ndarray) -> float:
    """Return the share of what lies outside that has one of the `_GROUNDS` most frequent levels of light."""
    if not beyond.size:
        return 1.0
    levels = np.bincount(np.rint(beyond).astype(np.int64).clip(0, 255), minlength=256).astype(np.float64)
    found = 0.0
    for _ in range(_GROUNDS):
        near = np.convolve(levels, np.ones(2 * _LEVEL + 1), "same")
        level = int(near.argmax())
        found += near[level]
        levels[max(0, level - _LEVEL) : level + _LEVEL + 1] = 0
    return float(found / beyond.size)
