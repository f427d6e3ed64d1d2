"""The table of a comparison: cells for the terminal, and Markdown for files.

In: rows, and the encoders that failed. Out: text.
"""

from collections.abc import Mapping, Sequence

from cbir.evaluate.compare.row import Row

#: Depths that the table shows, besides the full ranking.
_DEPTHS = (10, 100, 1_000, 10_000)


def cells(rows: Sequence[Row], failed: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return headings, which may break where they have a newline, and rows; an encoder that failed has empty cells."""
    depths = [n for n in _DEPTHS if all(n < max(row.scores.lrap) for row in rows)]
    headings = ["encoder", *(f"LRAP\n@{n:,}" for n in depths), "LRAP\n@all", "mAP", "precision\n@1", "precision\n@10"]
    headings += ["values", "bytes\na point", "train\nseconds", "images/s\nencoded"]
    filled = [[row.encoder, *_measures(row, depths), *_costs(row)] for row in rows]
    return headings, filled + [[name, *[""] * (len(headings) - 1)] for name in failed]


def markdown(rows: Sequence[Row], failed: Mapping[str, str]) -> str:
    """Return a Markdown table, and below it why encoders failed."""
    headings, filled = cells(rows, failed)
    unbroken = [heading.replace("\n@", "@").replace("\n", " ") for heading in headings]
    lines = [unbroken, ["---"] * len(headings), *filled]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return table + "".join(f"\n`{name}` failed: {reason}\n" for name, reason in failed.items())


def _measures(row: Row, depths: Sequence[int]) -> list[str]:
    scores, precision = row.scores, row.scores.precision_at
    measures = [*(scores.lrap[n] for n in depths), scores.lrap[max(scores.lrap)], scores.map]
    measures += [precision[1], precision[min(10, max(precision))]]
    return [f"{measure:.3f}" for measure in measures]


def _costs(row: Row) -> list[str]:
    seconds = "" if row.train_seconds is None else f"{row.train_seconds:,.1f}"
    return [f"{row.values:,}", f"{row.bytes_a_point:,}", seconds, f"{row.images_per_second:,.0f}"]
