"""Score against the number of results assessed, drawn as the article did: log x-axis.

In: scores. Out: a PNG, of one collection's measures or of several encoders' LRAP. Where some queries cannot be
answered, there is a panel for all, and one for the others.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from cbir.evaluate.draw.canvas import new_figure, plain, png
from cbir.evaluate.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Marker and dashes of a measure's line.
_STYLES = ("o-", "s--", "^:", "v:", "D-.", "x--")
_MARKERS = "os^vDPX<>p*hd"


def curve(scores: Scores, title: str) -> bytes:
    """Draw the score curve.

    Parameters
    ----------
    scores : Scores
    title : str

    Returns
    -------
    bytes
        A PNG.
    """
    figure, panels = _panels(scores, 8, title)
    for axes, part in zip(panels, scores.parts, strict=True):
        for (heading, points), style in zip(part.curves().items(), cycle(_STYLES), strict=False):
            axes.plot(list(points), list(points.values()), style, label=heading, markersize=4)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel(f"mean score of {scores.whose(part)}")
    panels[-1].legend()
    return png(figure)


def curves(scores: Mapping[str, Scores], title: str) -> bytes:
    """Draw one line for each encoder: LRAP against depth.

    Parameters
    ----------
    scores : mapping of str to Scores
        By the encoder's name.
    title : str

    Returns
    -------
    bytes
        A PNG; its legend has the order of the lines' right ends.
    """
    first = next(iter(scores.values()))  # all have the same queries
    figure, panels = _panels(first, 10, title)
    from matplotlib import colormaps

    # Dark before light: neighbours in the legend differ in colour and in marker.
    colours = [colormaps["tab20"](shade) for shade in (*range(0, 20, 2), *range(1, 20, 2))]
    styles = {
        name: {"color": colour, "marker": marker}
        for name, colour, marker in zip(scores, cycle(colours), cycle(_MARKERS), strict=False)
    }
    for name in sorted(scores, key=lambda name: list(scores[name].lrap.values())[-1], reverse=True):
        for axes, part in zip(panels, scores[name].parts, strict=True):
            lrap = part.lrap
            axes.plot(list(lrap), list(lrap.values()), label=plain(name), markersize=5, **styles[name])
    for axes, part in zip(panels, first.parts, strict=True):
        axes.set_ylabel(f"LRAP of {first.whose(part)}")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return png(figure)


def _panels(scores: Scores, width: float, title: str) -> tuple["Figure", Sequence["Axes"]]:
    """Return a figure with a panel for each part of the scores, side by side."""
    count = len(scores.parts)
    figure = new_figure(width * (1 + 0.75 * (count - 1)), 5)
    figure.suptitle(plain(title))
    panels = figure.subplots(1, count, squeeze=False, sharey=True)[0]
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlabel("number of results assessed, n")
        axes.grid(which="both", alpha=0.25)
    return figure, list(panels)
