"""Score against the number of results assessed, drawn as the article did: log x-axis.

In: scores. Out: a PNG, of one collection's measures or of several encoders' LRAP.
"""

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

from cbir.core.words import counted
from cbir.evaluate.draw.canvas import new_figure, png
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
    figure, axes = _axes(8)
    for (heading, points), style in zip(scores.curves().items(), cycle(_STYLES), strict=False):
        axes.plot(list(points), list(points.values()), style, label=heading, markersize=4)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel(f"mean score of {counted(scores.queries, 'query', 'queries')}")
    axes.legend()
    return _png(figure, axes, title)


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
    figure, axes = _axes(10)
    from matplotlib import colormaps

    # Dark before light: neighbours in the legend differ in colour and in marker.
    colours = [colormaps["tab20"](shade) for shade in (*range(0, 20, 2), *range(1, 20, 2))]
    styles = {
        name: {"color": colour, "marker": marker}
        for name, colour, marker in zip(scores, cycle(colours), cycle(_MARKERS), strict=False)
    }
    for name in sorted(scores, key=lambda name: list(scores[name].lrap.values())[-1], reverse=True):
        lrap = scores[name].lrap
        axes.plot(list(lrap), list(lrap.values()), label=name, markersize=5, **styles[name])
    axes.set_ylabel("LRAP")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return _png(figure, axes, title)


def _axes(width: float) -> tuple["Figure", "Axes"]:
    figure = new_figure(width, 5)
    return figure, figure.add_subplot()


def _png(figure: "Figure", axes: "Axes", title: str) -> bytes:
    axes.set_xscale("log")
    axes.set_xlabel("number of results assessed, n")
    axes.set_title(title)
    axes.grid(which="both", alpha=0.25)
    return png(figure)
