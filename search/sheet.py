"""Contact sheets: pictures side by side with a caption under each.

In: rows of pictures and captions. Out: one Pillow image. Search strips, sheets of
duplicates and the line-up of encoders are sheets.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from cbir.core.atomic import write_atomic
from cbir.core.disk import disk_errors, expanded
from cbir.core.errors import CbirError, first_line
from cbir.model.modes import eight_bit
from cbir.search.lettering import shortened, shortened_name, warn_of_missing, width, write

CELL = 120
#: Pixels of a picture's shorter side that suffice for a cell.
ENOUGH = 2 * CELL
PAPER, INK, FAINT = "#ffffff", "#1c1c1c", "#6b6b6b"
_GAP = 12
_EDGE = 3
_LINE = 17
_FRAME, _WRONG = "#2f6fde", "#e02020"


@dataclass(frozen=True)
class Cell:
    """One picture with up to three caption lines.

    Attributes
    ----------
    picture : PIL.Image.Image or None
        None if it cannot be shown.
    title, note : str
        Cut at the end if they are wider than the cell.
    name : str
        Of a file: cut in the middle.
    marked : bool
        Whether it is framed.
    """

    picture: Image.Image | None
    title: str = ""
    note: str = ""
    name: str = ""
    marked: bool = False

    @property
    def captions(self) -> tuple[str, ...]:
        """The lines under the picture."""
        return tuple(text for text in (self.title, self.name, self.note) if text)


@dataclass(frozen=True)
class Heading:
    """The heading to the left of a row: a title, and a line under it."""

    title: str
    note: str = ""


def sheet(rows: Sequence[Sequence[Cell | None]], headings: Sequence[Heading] = (), side: int = CELL) -> Image.Image:
    """Draw rows of cells.

    Parameters
    ----------
    rows : sequence of sequences of Cell or None
        None leaves a place free.
    headings : sequence of Heading
        One for each row, or none.
    side : int
        Of a cell, in pixels.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    told = [text for heading in headings for text in (heading.title, heading.note)]
    warn_of_missing([*told, *(text for row in rows for cell in row if cell is not None for text in cell.captions)])
    heights = [_height(row, side) for row in rows]
    columns = max(len(row) for row in rows)
    margin = math.ceil(max(map(width, told), default=0))
    left = _GAP + (margin + _GAP if headings else 0)
    canvas = Image.new("RGB", (left + columns * (side + _GAP), _GAP + sum(heights)), PAPER)
    draw = ImageDraw.Draw(canvas)
    for y, row in enumerate(rows):
        top = _GAP + sum(heights[:y])
        if headings:
            write(draw, (_GAP, top + side / 2), headings[y].title, INK, anchor="ls")
            write(draw, (_GAP, top + side / 2 + _LINE), headings[y].note, FAINT, anchor="ls")
        for x, cell in enumerate(row):
            if cell is not None:
                _draw(canvas, draw, cell, left + x * (side + _GAP), top, side)
    return canvas


def tiles(pictures: Sequence[tuple[Image.Image | None, bool]], across: int) -> Image.Image:
    """Put several small pictures into one, to be a cell's.

    Parameters
    ----------
    pictures : sequence of (PIL.Image.Image or None, bool)
        Row by row, at most `across` times as many; a true one is framed as wrong.
    across : int

    Returns
    -------
    PIL.Image.Image
        RGB, CELL x CELL.
    """
    canvas = Image.new("RGB", (CELL, CELL), PAPER)
    draw = ImageDraw.Draw(canvas)
    step = CELL // across
    side = step - 2 * _EDGE
    for place, (picture, wrong) in enumerate(pictures):
        left, top = place % across * step, place // across * step
        if picture is not None:
            small = fitted(picture, side)
            canvas.paste(small, (left + (step - small.width) // 2, top + (step - small.height) // 2))
        if wrong or picture is None:
            colour = _WRONG if wrong else FAINT
            draw.rectangle((left, top, left + step - 1, top + step - 1), outline=colour, width=_EDGE if wrong else 1)
    return canvas


def _height(row: Sequence[Cell | None], side: int) -> int:
    lines = max((len(cell.captions) for cell in row if cell is not None), default=0)
    return side + (lines * _LINE + 4 if lines else 0) + _GAP


def _draw(canvas: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, left: int, top: int, side: int) -> None:
    if cell.picture is None:
        draw.rectangle((left, top, left + side - 1, top + side - 1), outline=FAINT)
        write(draw, (left + side / 2, top + side / 2), "not found", FAINT, anchor="mm")
    else:
        picture = fitted(cell.picture, side)
        canvas.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
    if cell.marked:
        box = (left - _EDGE, top - _EDGE, left + side + _EDGE - 1, top + side + _EDGE - 1)
        draw.rectangle(box, outline=_FRAME, width=_EDGE)
    y = top + side + 4
    for text, cut, colour in (
        (cell.title, shortened, INK),
        (cell.name, shortened_name, FAINT),
        (cell.note, shortened, FAINT),
    ):
        if text:
            write(draw, (left + side / 2, y), cut(text, side), colour, anchor="ma")
            y += _LINE


def fitted(picture: Image.Image, side: int = CELL) -> Image.Image:
    """Scale a picture so that its longer side is `side`; RGB."""
    scale = side / max(picture.size)
    # Small pictures keep their pixels visible; large ones are averaged.
    resample = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return eight_bit(picture).convert("RGB").resize(size, resample)


def save_picture(picture: Image.Image, path: str | Path) -> Path:
    """Write a picture in the format of the path's suffix, completely or not at all."""
    path = expanded(path).absolute()
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise CbirError(f"{path} has an unknown picture format; try {path.stem}.png")
    content = io.BytesIO()
    try:
        picture.save(content, format=kind)
    except (OSError, ValueError) as error:
        raise CbirError(f"{path} cannot be written as {kind} ({first_line(error)}); try {path.stem}.png") from None
    with disk_errors(path.parent), content.getbuffer() as held:  # released also if it cannot be written
        write_atomic(path, held)
    return path
