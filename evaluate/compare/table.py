"""The table of a comparison: cells for the terminal, and Markdown for files.

In: rows, and the encoders that failed. Out: text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cbir.core.uris import shown
from cbir.evaluate.compare.row import Row
from cbir.evaluate.scores import Means, Scores

#: Headings of `costs`.
COSTS = ["values", "bytes\na point", "train\nseconds", "images/s\nencoded"]
#: Depths that the table shows, besides the full ranking.
_DEPTHS = (10, 100, 1_000, 10_000)


def cells(
    rows: Sequence[Row[Scores]], failed: Mapping[str, str], *, answerable: bool = False
) -> tuple[list[str], list[list[str]]]:
    """Return headings, which may break where they have a newline, and rows; an encoder that failed has empty cells.

    Parameters
    ----------
    rows : sequence of Row
    failed : mapping of str to str
    answerable : bool
        The scores of the queries that can be answered, without the costs and what failed.
    """
    depths = [n for n in _DEPTHS if all(n < max(row.scores.lrap) for row in rows)]
    headings = ["encoder", *(f"LRAP\n@{n:,}" for n in depths), "LRAP\n@all", "mAP", "precision\n@1", "precision\n@10"]
    if answerable:
        return headings, [[row.encoder, *_measures(row.scores.answerable or row.scores, depths)] for row in rows]
    headings += COSTS
    filled = [[row.encoder, *_measures(row.scores, depths), *costs(row)] for row in rows]
    return headings, filled + [[name, *[""] * (len(headings) - 1)] for name in failed]


def markdown(rows: Sequence[Row[Scores]], failed: Mapping[str, str]) -> str:
    """Return a Markdown table, one of the queries that can be answered if not all can, and why encoders failed."""
    table = in_markdown(*cells(rows, failed))
    if len((scores := rows[0].scores).parts) > 1:
        table += f"\nOf {scores.whose(scores.parts[1])}:\n\n" + in_markdown(*cells(rows, failed, answerable=True))
    return table + failures(failed)


def failures(failed: Mapping[str, str]) -> str:
    """Return why encoders failed, as Markdown."""
    return "".join(f"\n`{name}` failed: {reason}\n" for name, reason in failed.items())


def in_markdown(headings: Sequence[str], filled: Sequence[Sequence[str]]) -> str:
    """Return headings and rows as a Markdown table."""
    unbroken = [heading.replace("\n@", "@").replace("\n", " ") for heading in headings]
    lines = [unbroken, ["---"] * len(headings), *filled]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    """Return a text as a cell of Markdown, such as the name of a file that is an encoder."""
    return shown(text).replace("|", r"\|")


def _measures(scores: Means, depths: Sequence[int]) -> list[str]:
    precision = scores.precision_at
    measures = [*(scores.lrap[n] for n in depths), scores.lrap[max(scores.lrap)], scores.map]
    measures += [precision[1], precision[min(10, max(precision))]]
    return [f"{measure:.3f}" for measure in measures]


def costs(row: Row[Any]) -> list[str]:
    """Return the cells of what a row costs: values, bytes a point, seconds of training, images a second."""
    seconds = "" if row.train_seconds is None else f"{row.train_seconds:,.1f}"
    return [f"{row.values:,}", f"{row.bytes_a_point:,}", seconds, f"{row.images_per_second:,.0f}"]
