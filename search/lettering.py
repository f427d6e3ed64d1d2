"""Text in pictures: DejaVu Sans, and texts made to fit.

In: a text and the room there is for it. Out: the lines to draw.
"""

from functools import cache
from pathlib import Path

from PIL import ImageFont

#: The size of captions.
TEXT = 13


@cache
def font(size: int = TEXT) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which lies beside this module: it has the letters of most scripts."""
    return ImageFont.truetype(str(Path(__file__).with_name("fonts") / "DejaVuSans.ttf"), size)


def shortened(text: str, width: int, size: int = TEXT) -> str:
    """Return a text, cut and with an ellipsis if it is wider than `width` pixels."""
    text = " ".join(text.split())
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def shortened_name(path: str, width: int, size: int = TEXT) -> str:
    """Return a path; if it is wider than `width` pixels, its name, and of that the two ends, where names differ."""
    path = " ".join(path.split())
    if font(size).getlength(path) <= width:
        return path
    name = path.rpartition("/")[2]
    for kept in range(min(len(name), width), 1, -1):
        shorter = name if kept == len(name) else f"{name[: (kept + 1) // 2]}…{name[len(name) - kept // 2 :]}"
        if font(size).getlength(shorter) <= width:
            return shorter
    return shortened(name, width, size)


def wrapped(text: str, width: int, most: int, size: int = TEXT) -> tuple[list[str], bool]:
    """Break a text into lines.

    Parameters
    ----------
    text : str
    width : int
        Of the longest line, in pixels.
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
    words = text.split()
    lines: list[str] = []
    while words and len(lines) < most:
        count = 1
        while count < len(words) and font(size).getlength(" ".join(words[: count + 1])) <= width:
            count += 1
        if len(lines) == most - 1:
            count = len(words)
        lines.append(" ".join(words[:count]))
        words = words[count:]
    fits = all(font(size).getlength(line) <= width for line in lines)
    return [shortened(line, width, size) for line in lines], fits
