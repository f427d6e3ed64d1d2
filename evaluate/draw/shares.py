"""What edited copies find, encoder by encoder: a line for each edit, a mark on it for each encoder.

In: shares of originals that came first. Out: a PNG.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle

from cbir.evaluate.copies.run import Row
from cbir.evaluate.draw.canvas import new_figure, plain, png

_MARKERS = "os^vDPX<>p*hd"


def shares(edits: Mapping[str, Sequence[Row]], title: str) -> bytes:
    """Draw the shares of originals that came first.

    Parameters
    ----------
    edits : mapping of str to sequence of Row
        By the encoder's name; the same edits for all.
    title : str

    Returns
    -------
    bytes
        A PNG.
    """
    names = [row.edit for row in next(iter(edits.values()))]
    figure = new_figure(10, 1.5 + 0.35 * len(names))
    figure.suptitle(plain(title))
    axes = figure.add_subplot()
    for (encoder, rows), marker in zip(edits.items(), cycle(_MARKERS), strict=False):
        places = range(len(rows))
        axes.plot([row.first for row in rows], places, marker, label=plain(encoder), markersize=6, alpha=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of edited copies whose original comes first")
    axes.grid(alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return png(figure)
