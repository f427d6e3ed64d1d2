"""Score against the number of results assessed, drawn as the article did: log x-axis.

In: scores. Out: a PNG.
"""

import io

from search.scores import Scores


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
    # Not pyplot: it keeps global state and looks for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    depths = list(scores.lrap)
    axes.plot(depths, list(scores.lrap.values()), "o-", label="LRAP", linewidth=2, markersize=5)
    axes.plot(depths, [scores.map_at[d] for d in depths], "s--", label="mAP@n", markersize=4)
    axes.plot(depths, [scores.precision_at[d] for d in depths], "^:", label="precision@n", markersize=4)
    axes.plot(depths, [scores.recall_at[d] for d in depths], "v:", label="recall@n", markersize=4)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("number of results assessed, n")
    axes.set_ylabel(f"mean score of {scores.queries:,} queries")
    axes.set_title(title)
    axes.grid(which="both", alpha=0.25)
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
