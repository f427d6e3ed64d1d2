"""Score against the strength of a distortion.

In: for each encoder, scores of queries as they are and distorted. Out: the
share of the score that remains, and a PNG: a column for each distortion, a line
for each encoder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbir.evaluate.draw.canvas import new_figure, plain, png
from cbir.evaluate.scores import Means, Scores
from cbir.model.distortion import Distortion, DistortionKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Results assessed.
DEPTH = 10
_COLUMNS = 4
_MARKS = "os^vDP*X"


@dataclass(frozen=True)
class Line:
    """The scores of one encoder, at depth `DEPTH` or the number of ranks.

    Attributes
    ----------
    label : str
    undistorted : Scores
    distorted : Mapping of Distortion to Scores
    """

    label: str
    undistorted: Scores
    distorted: Mapping[Distortion, Scores]


def lrap(scores: Means) -> float:
    """Return LRAP@10: a query with no relevant image among the ten counts as 1, so it can grow as all is lost."""
    return scores.lrap[max(scores.lrap)]


def average_precision(scores: Means) -> float:
    """Return mAP@10, where such a query counts as 0."""
    return scores.map_at[max(scores.map_at)]


def retained(distorted: Means, undistorted: Means, measure: Callable[[Means], float] = lrap) -> float:
    """Return the score of distorted queries divided by that of the same queries undistorted; 0 if there is none."""
    whole = measure(undistorted)
    return measure(distorted) / whole if whole else 0.0


_MEASURES: tuple[tuple[str, Callable[[Means], float]], ...] = (("LRAP@10", lrap), ("mAP@10", average_precision))


def figure(lines: Sequence[Line], title: str) -> bytes:
    """Draw the lines.

    Parameters
    ----------
    lines : sequence of Line
        All of the same distortions.
    title : str

    Returns
    -------
    bytes
        A PNG.
    """
    kinds = list(dict.fromkeys(distortion.kind for distortion in lines[0].distorted))
    columns = min(_COLUMNS, len(kinds))
    parts = max(len(line.undistorted.parts) for line in lines)
    measures = [(part, name, measure) for part in range(parts) for name, measure in _MEASURES]
    blocks = -(-len(kinds) // columns)
    drawn = new_figure(1.2 + 3.4 * columns, 1 + 4.6 * blocks * parts)
    high = len(measures)
    panels = drawn.subplots(high * blocks, columns, squeeze=False, sharey="row", height_ratios=[3, 2] * parts * blocks)
    for axes in panels.flat:
        axes.set_visible(False)
    for number, kind in enumerate(kinds):
        row, column = high * (number // columns), number % columns
        for below, (part, name, measure) in enumerate(measures):
            axes = panels[row + below, column]
            axes.set_visible(True)
            for line, mark in zip(lines, _MARKS * len(lines), strict=False):
                points = [(d.strength, measure(_part(s, part))) for d, s in line.distorted.items() if d.kind == kind]
                points = sorted([(kind.nothing, measure(_part(line.undistorted, part))), *points])
                axes.plot(*zip(*points, strict=True), f"{mark}-", label=plain(line.label), markersize=4)
            _mark_strengths(axes, kind, [strength for strength, _ in points])
            if column == 0:
                axes.set_ylabel(f"{name}, answerable" if part else name)
        panels[row, column].set_title(kind.name)
        panels[row + high - 1, column].set_xlabel(kind.unit)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=columns)
    drawn.suptitle(plain(title))
    return png(drawn)


def _part(scores: Scores, part: int) -> Means:
    """Return one of the parts of scores; those of which all queries can be answered have no other than the first."""
    return scores.parts[min(part, len(scores.parts) - 1)]


def _mark_strengths(axes: "Axes", kind: DistortionKind, strengths: Sequence[float]) -> None:
    """Mark the strengths that were measured, from what changes least; factors as their logarithms."""
    if 0 < kind.low < kind.nothing < kind.high:
        axes.set_xscale("log")
    labels = [f"{strength:g}" for strength in strengths] if kind.unit else ["without", "with"]
    axes.set_xticks(strengths, labels)
    axes.minorticks_off()
    if kind.nothing == kind.high:
        axes.invert_xaxis()
    axes.axvline(kind.nothing, color="black", linewidth=0.8, alpha=0.4)
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.25)
