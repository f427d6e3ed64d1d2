"""Queries as pictures, for the first column of a strip.

In: a query. Out: its caption and a picture: the query's own, the words, or the
terms of a combination, one below the other with their signs.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from cbir.search.lettering import warn_of_missing, width, wrapped, write
from cbir.search.piped import Piped, open_query
from cbir.search.query import Combination, Query, Single, Term, Words, is_picture, named, terms_of
from cbir.search.sheet import CELL, FAINT, INK, PAPER, fitted

_MARGIN = 8
#: Sizes of letters that are tried for words, the largest first.
_SIZES = (22, 18, 15, 12)
_SIGN = 15
#: Free to the left and right of terms, and the height of the last row.
_EDGE, _ROW = 4, 16
#: Terms of a combination that are shown; of more, the last row says how many there are.
_MOST = 5


def shown(query: Query, open_picture: Callable[[str], Image.Image]) -> tuple[str, Image.Image]:
    """Return a query's caption and picture.

    Parameters
    ----------
    query : Query
    open_picture : callable
        Opens a path or uri.

    Raises
    ------
    CbirError
        A picture cannot be opened.
    """
    if isinstance(query, Combination):
        return "", _column(terms_of(query), open_picture)
    if isinstance(query, str | Path):
        return Path(query).name if Path(query).exists() else str(query), _opened(query, open_picture)
    return "", _opened(query, open_picture)


def _opened(query: Single, open_picture: Callable[[str], Image.Image]) -> Image.Image:
    """Return the picture of a query that is no combination."""
    if isinstance(query, Image.Image):
        return query
    if isinstance(query, str | Path | Piped):
        return open_query(query, open_picture)
    drawn = _words(_text(query), CELL - 2 * _MARGIN, CELL - 2 * _MARGIN)
    canvas = Image.new("RGB", (CELL, CELL), PAPER)
    canvas.paste(drawn, ((CELL - drawn.width) // 2, (CELL - drawn.height) // 2))
    return canvas


def _text(query: Single) -> str:
    return query.text if isinstance(query, Words) else named(query)


def _words(text: str, room: int, height: int, sizes: Sequence[int] = _SIZES) -> Image.Image:
    """Draw words in the largest size in which they fit; what does not fit is cut."""
    warn_of_missing([text])
    for size in sizes:
        line = math.ceil(1.3 * size)
        lines, fits = wrapped(text, room, max(1, height // line), size)
        if fits:
            break
    wide = math.ceil(max(width(each, size) for each in lines))
    canvas = Image.new("RGB", (max(1, wide), line * len(lines)), PAPER)
    for row, each in enumerate(lines):
        write(ImageDraw.Draw(canvas), (wide / 2, (row + 0.5) * line), each, INK, size, anchor="mm")
    return canvas


def _column(terms: Sequence[Term], open_picture: Callable[[str], Image.Image]) -> Image.Image:
    """Draw terms below each other, each after its sign."""
    rows = terms if len(terms) <= _MOST else terms[: _MOST - 1]
    signs = [_sign(term, first=not row) for row, term in enumerate(rows)]
    left = _EDGE + math.ceil(max(width(sign, _SIGN) for sign in signs)) + 4
    heights = _heights([is_picture(term.query) for term in rows], CELL - (0 if rows is terms else _ROW))
    canvas = Image.new("RGB", (CELL, CELL), PAPER)
    draw = ImageDraw.Draw(canvas)
    top = 0
    for term, sign, height in zip(rows, signs, heights, strict=True):
        drawn = (
            fitted(_opened(term.query, open_picture), height - 2)
            if is_picture(term.query)
            else _words(_text(term.query), CELL - left - _EDGE, height, _SIZES[-2:])
        )
        write(draw, (_EDGE, top + height / 2), sign, INK, _SIGN, anchor="lm")
        canvas.paste(drawn, (left, top + (height - drawn.height) // 2))
        top += height
    if rows is not terms:
        write(draw, (left, top + _ROW / 2), f"and {len(terms) - len(rows)} more", FAINT, _SIZES[-1], anchor="lm")
    return canvas


def _heights(pictures: Sequence[bool], height: int) -> list[int]:
    """Divide a height: words take at most half of it if there are pictures, too."""
    words = len(pictures) - sum(pictures)
    if not words or words == len(pictures):
        return [height // len(pictures)] * len(pictures)
    of_words = min(36, height // 2 // words)
    of_pictures = (height - words * of_words) // sum(pictures)
    return [of_pictures if is_one else of_words for is_one in pictures]


def _sign(term: Term, *, first: bool) -> str:
    sign = "−" if term.weight < 0 else "" if first else "+"
    return sign if abs(term.weight) == 1 else f"{sign}{abs(term.weight):.2g}"
