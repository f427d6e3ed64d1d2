"""Matplotlib figures: made without its global state, and written as PNG; nothing else needs matplotlib."""

import importlib.util
import io
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INSTALL = "it is cbir's extra 'figures': pip install '.[figures]' in its folder"


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def require_drawing() -> None:
    """Refuse to begin work whose result is a figure.

    Raises
    ------
    CbirError
        Matplotlib is not installed.
    """
    if not can_draw():
        raise CbirError(f"drawing figures needs matplotlib; {INSTALL}")


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of a size in inches, at 120 pixels per inch; CbirError as `require_drawing`."""
    require_drawing()
    # Not pyplot: it keeps global state and looks for a display.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def plain(text: str) -> str:
    """Return a text as matplotlib draws it as it is: a pair of dollar signs would make a formula of it."""
    return text.replace("$", r"\$")


def png(figure: "Figure") -> bytes:
    """Return a figure as the content of a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
