"""The figure of `scale`: what was measured, and the fitted curves to a billion."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

FILE = Path("docs/images/scale.png")
MOST = 1_000_000_000
#: Subjects, as they are called beside their curves.
SUBJECTS = {"embedded": "embedded", "server": "server", "files": "server, payloads of files"}
#: What each part of the figure shows: the names of the costs in one or another subject, which are added up.
PARTS = {
    "load and index, hours of a core": ("processor time",),
    "disk, GB": ("disk",),
    "memory, GB (a server's own)": ("memory of",),
    "warm search, ms": ("warm search",),
}

Costs = Mapping[str, tuple[float, tuple[str, ...], np.ndarray]]
Fit = Callable[[Sequence[int], np.ndarray, Sequence[str], Sequence[float]], np.ndarray]


def draw(sizes: Sequence[int], found: Mapping[str, Costs], fitted: Fit) -> None:
    """Draw points and curves, on logarithmic axes.

    Parameters
    ----------
    sizes : sequence of int
    found : mapping
        By subject and cost: how many of it are shown as one, its terms, and its values, (sizes,).
    fitted : callable
        Fits the terms to the values of some sizes; returns those of others.
    """
    asked = np.geomspace(min(sizes), MOST, 100).tolist()
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    for axis, (title, words) in zip(axes.flat, PARTS.items(), strict=True):
        for number, (subject, costs) in enumerate(found.items()):
            chosen = [cost for name, cost in costs.items() if any(word in name for word in words)]
            measured = np.sum([values / unit for unit, _, values in chosen], axis=0)
            curve = np.sum([fitted(sizes, values, terms, asked) / unit for unit, terms, values in chosen], axis=0)
            axis.plot(asked, curve, color=f"C{number}", linewidth=1)
            axis.plot(sizes, measured, "o", color=f"C{number}", markersize=4, label=SUBJECTS[subject])
        axis.axvspan(max(sizes), MOST, color="0.94", zorder=0)
        axis.set(title=title, xscale="log", yscale="log", xlabel="points of 128 values (grey: reckoned)")
        axis.grid(alpha=0.3)
    axes.flat[0].legend(frameon=False)
    figure.savefig(FILE, dpi=110)
    plt.close(figure)
