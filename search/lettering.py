"""Text in pictures: measured, drawn, and made to fit.

In: a text and the room there is for it. Out: the lines to draw, or the drawing.
Which font has which letters is the matter of `cbir.search.typefaces`.
"""

import unicodedata
import warnings
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

from PIL import ImageDraw

from cbir.core.errors import CbirWarning
from cbir.core.uris import shown
from cbir.search.typefaces import OWN, clusters, font, pieces, unshown

#: The size of captions.
TEXT = 13


def width(text: str, size: int = TEXT) -> float:
    """Return how wide a text is, in pixels."""
    return sum(font(face, size).getlength(part) for face, part in pieces(text))


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    colour: str,
    size: int = TEXT,
    *,
    anchor: str = "la",
) -> None:
    """Draw a text.

    Parameters
    ----------
    draw : ImageDraw.ImageDraw
    place : (float, float)
        Where the anchor is.
    text : str
        One line.
    colour : str
    size : int
        Of the letters.
    anchor : str
        `l` or `m`, and `a`, `m` or `s`, as Pillow has them: left or middle, and ascender, middle or baseline.
    """
    across, down = place
    ascent, descent = font(OWN, size).getmetrics()
    down += {"a": ascent, "m": (ascent - descent) / 2, "s": 0}[anchor[1]]
    if anchor[0] == "m":
        across -= width(text, size) / 2
    for face, part in pieces(text):
        draw.text((across, down), part, colour, font(face, size), anchor="ls")
        across += font(face, size).getlength(part)


def warn_of_missing(texts: Iterable[str]) -> None:
    """Warn of letters that no font has, and of fonts to install."""
    for sentence in unshown(map(shown, texts)):
        warnings.warn(sentence, CbirWarning, stacklevel=2)


def shortened(text: str, room: int, size: int = TEXT) -> str:
    """Return a text, cut and with an ellipsis if it is wider than `room` pixels."""
    text = " ".join(shown(text).split())
    if width(text, size) <= room:
        return text
    parts = clusters(text)
    wider = bisect_left(range(len(parts)), 1, key=lambda count: width("".join(parts[:count]) + "…", size) > room)
    return "".join(parts[: max(0, wider - 1)]) + "…"


def shortened_name(path: str, room: int, size: int = TEXT) -> str:
    """Return a path; if it is wider than `room` pixels, its name, and of that the two ends, where names differ."""
    path = " ".join(shown(path).split())
    if width(path, size) <= room:
        return path
    name = path.rpartition("/")[2]
    parts = clusters(name)
    for kept in range(min(len(parts), room), 1, -1):
        ends = "".join(parts[: (kept + 1) // 2]), "".join(parts[len(parts) - kept // 2 :])
        shorter = name if kept == len(parts) else "…".join(ends)
        if width(shorter, size) <= room:
            return shorter
    return shortened(name, room, size)


def wrapped(text: str, room: int, most: int, size: int = TEXT) -> tuple[list[str], bool]:
    """Break a text into lines.

    Parameters
    ----------
    text : str
    room : int
        For the longest line, in pixels.
    most : int
        Lines; the last one is cut if there would be more.
    size : int
        Of the letters.

    Returns
    -------
    list of str
    bool
        Whether all of the text fits, no word being wider than a line.
    """
    words = [part for word in shown(text).split() for part in _parts(word, room, size)]
    fits = all(width(part, size) <= room for word in shown(text).split() for part in _breakable(word))
    lines: list[str] = []
    while words and len(lines) < most:
        count = 1
        while count < len(words) and width("".join(words[: count + 1]).rstrip(), size) <= room:
            count += 1
        if len(lines) == most - 1:
            count = len(words)
        lines.append("".join(words[:count]).rstrip())
        words = words[count:]
    fits = fits and all(width(line, size) <= room for line in lines)
    return [shortened(line, room, size) for line in lines], fits


def _parts(word: str, room: int, size: int) -> list[str]:
    """Return the parts of a word between which a line may end, a space behind the last; a wide one ends anywhere."""
    parts = [part for each in _breakable(word) for part in ([each] if width(each, size) <= room else clusters(each))]
    return [*parts[:-1], f"{parts[-1]} "]


def _breakable(word: str) -> list[str]:
    """Divide a word beside Chinese and Japanese letters: a line may end there, but not before a mark that closes."""
    parts = clusters(word)
    cuts = [at for at, (left, right) in enumerate(pairwise(parts), 1) if _ends_line(left, right)]
    return ["".join(parts[start:end]) for start, end in pairwise([0, *cuts, len(parts)])]


def _ends_line(left: str, right: str) -> bool:
    wide = any(unicodedata.east_asian_width(each[0]) in ("W", "F") for each in (left, right))
    opens, closes = (unicodedata.category(left[0]) in ("Ps", "Pi"), unicodedata.category(right[0])[0] == "P")
    return wide and not opens and not closes
