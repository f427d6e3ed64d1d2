"""The comparison of encoders without labels: what share of edited copies each finds the original of.

In: a source and encoders. Out: a `CopiesComparison`, written to disk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cbir.collection.interface import Engine
from cbir.core.atomic import write_atomic
from cbir.core.progress import Progress, silent
from cbir.core.settings import Settings
from cbir.core.words import counted
from cbir.evaluate.compare.by_copies import ByCopies, Shares
from cbir.evaluate.compare.entrants import entrants
from cbir.evaluate.compare.measure import Measurer
from cbir.evaluate.compare.row import Row
from cbir.evaluate.compare.table import COSTS, costs, failures, in_markdown
from cbir.evaluate.draw.canvas import require_drawing
from cbir.evaluate.draw.shares import shares
from cbir.evaluate.options import CopiesOptions
from cbir.ingest.sources.source import Source


@dataclass(frozen=True)
class CopiesComparison:
    """Encoders side by side, without labels.

    Attributes
    ----------
    source : str
    rows : list of Row
        In the order the encoders were named.
    failed : dict of str to str
        Encoders that gave no row, and why.
    folder : Path
        Holds `table.md` and `shares.png`.
    """

    source: str
    rows: list[Row[Shares]]
    failed: dict[str, str]
    folder: Path

    @property
    def title(self) -> str:
        """Which source, how many images, and how many of them were edited."""
        row = self.rows[0]
        images = counted(row.points, "image")
        return f"{Path(self.source).name}: {images}, edited copies of {row.scores.pictures:,} of them searched for"

    @property
    def figure(self) -> Path:
        """The share of originals that come first against the edit, a PNG."""
        return self.folder / "shares.png"

    @property
    def table(self) -> Path:
        """The table, Markdown."""
        return self.folder / "table.md"

    @property
    def files(self) -> tuple[Path, ...]:
        """Table and picture."""
        return self.table, self.figure

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and rows of the table: a column for each encoder, a row for each edit and each cost."""
        lines = [
            [edits[0].edit, *(f"{edit.first:.3f}" for edit in edits)]
            for edits in zip(*(row.scores.edits for row in self.rows), strict=True)
        ]
        lines.append(["mean: original first", *(f"{row.scores.mean.first:.3f}" for row in self.rows)])
        lines.append(["mean: among ten", *(f"{row.scores.mean.among_ten:.3f}" for row in self.rows)])
        spent = [costs(row) for row in self.rows]
        lines += [[name.replace("\n", " "), *(cost[n] for cost in spent)] for n, name in enumerate(COSTS)]
        return ["original first", *(row.encoder for row in self.rows)], lines

    def markdown(self) -> str:
        """Return the table as Markdown, and why encoders failed."""
        return in_markdown(*self.cells()) + failures(self.failed)

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "source": self.source,
            "rows": [row.as_json() for row in self.rows],
            "failed": self.failed,
            "table": str(self.table),
            "figure": str(self.figure),
        }


def compare_by_copies(
    source: Source,
    encoders: Sequence[str],
    options: Mapping[str, Any],
    engine: Engine,
    settings: Settings,
    evaluation: CopiesOptions,
    *,
    limit: int | None = None,
    progress: Progress = silent,
) -> CopiesComparison:
    """Train, ingest and evaluate the encoders that have not been yet, and put all side by side; no label is looked at.

    Parameters
    ----------
    source, encoders, options, engine, settings, limit, progress
        As `cbir.evaluate.compare.comparison.compare_encoders` takes them.
    evaluation : CopiesOptions

    Raises
    ------
    CbirError
        No such encoder, or none of the encoders gave a row.
    """
    require_drawing()
    found = entrants(source, encoders, options, by_labels=False)
    measurer = Measurer(settings, engine, source, ByCopies(evaluation), limit)
    rows, failed = measurer.rows(found, progress)
    comparison = CopiesComparison(str(source), rows, failed, measurer.folder(rows))
    if not comparison.figure.exists():
        drawn = shares({row.encoder: row.scores.edits for row in rows}, comparison.title)
        write_atomic(comparison.figure, drawn)
    write_atomic(comparison.table, comparison.markdown().encode())
    return comparison
