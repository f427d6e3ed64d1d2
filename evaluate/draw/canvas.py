"""Matplotlib figures: made without a display, and written as PNG; nothing else needs matplotlib."""

import importlib.util
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError
from cbir.core.extras import to_install
from cbir.core.muted import muted
from cbir.core.uris import shown
from cbir.search.lettering import warn_of_missing
from cbir.search.typefaces import OWN, pieces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INSTALL = f"it is cbir's extra 'figures': {to_install('figures')}"


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
    """Return a text as matplotlib draws it as it is, in one line: a pair of dollar signs would make a formula of it."""
    return shown(text).replace("$", r"\$")


def png(figure: "Figure") -> bytes:
    """Return a figure as the content of a PNG file; letters that DejaVu Sans lacks are drawn in the system's fonts."""
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and not text.get_text().isascii()]
    families = _families([text.get_text() for text in texts])
    for text in texts:
        text.set_fontfamily(["DejaVu Sans", *families])
    content = io.BytesIO()
    with muted(message="Glyph .* missing", category=UserWarning):  # we have said what to install
        figure.savefig(content, format="png")
    return content.getvalue()


def _families(texts: Sequence[str]) -> list[str]:
    """Return the families of the system's fonts that some texts need, once matplotlib knows of them."""
    from matplotlib.font_manager import FontProperties, fontManager

    warn_of_missing(texts)
    paths = dict.fromkeys(face.path for text in texts for face, _ in pieces(text) if face != OWN)
    for path in paths.keys() - {entry.fname for entry in fontManager.ttflist}:
        fontManager.addfont(path)
    return [FontProperties(fname=path).get_name() for path in paths]
