"""Contact sheets: pictures side by side with a caption under each.

In: rows of pictures and captions. Out: one Pillow image. Search strips and the
denoising figure are both sheets.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

CELL = 120
_GAP = 12
_TEXT = 13
_LINE = 17
_PAPER, _INK, _FAINT, _FRAME = "#ffffff", "#1c1c1c", "#6b6b6b", "#2f6fde"


@dataclass(frozen=True)
class Cell:
    """One picture (None if it cannot be shown) with up to two caption lines; `marked` frames it."""

    picture: Image.Image | None
    title: str = ""
    note: str = ""
    marked: bool = False


def sheet(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """Draw rows of cells.

    Parameters
    ----------
    rows : sequence of sequences of Cell

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    lines = max((bool(c.title) + bool(c.note) for row in rows for c in row), default=0)
    height = CELL + (lines * _LINE + 4 if lines else 0)
    columns = max(len(row) for row in rows)
    size = (_GAP + columns * (CELL + _GAP), _GAP + len(rows) * (height + _GAP))
    canvas = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(canvas)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            _draw(canvas, draw, cell, _GAP + x * (CELL + _GAP), _GAP + y * (height + _GAP))
    return canvas


def _draw(canvas: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, left: int, top: int) -> None:
    if cell.picture is None:
        draw.rectangle((left, top, left + CELL - 1, top + CELL - 1), outline=_FAINT)
        draw.text((left + CELL / 2, top + CELL / 2), "not found", _FAINT, _font(), anchor="mm")
    else:
        picture = _fitted(cell.picture)
        canvas.paste(picture, (left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2))
    if cell.marked:
        draw.rectangle((left - 3, top - 3, left + CELL + 2, top + CELL + 2), outline=_FRAME, width=3)
    y = top + CELL + 4
    for text, colour in ((cell.title, _INK), (cell.note, _FAINT)):
        if text:
            draw.text((left + CELL / 2, y), _shortened(draw, text), colour, _font(), anchor="ma")
            y += _LINE


def _fitted(picture: Image.Image) -> Image.Image:
    scale = CELL / max(picture.size)
    # Small pictures keep their pixels visible; large ones are averaged.
    resample = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.convert("RGB").resize(size, resample)


def _shortened(draw: ImageDraw.ImageDraw, text: str) -> str:
    text = " ".join(text.split())
    if draw.textlength(text, _font()) <= CELL:
        return text
    while text and draw.textlength(text + "…", _font()) > CELL:
        text = text[:-1]
    return text + "…"


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans as matplotlib ships it (it has most scripts' letters), without importing matplotlib."""
    found = importlib.util.find_spec("matplotlib")
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return ImageFont.truetype(str(path), _TEXT)
    return ImageFont.load_default(_TEXT)
