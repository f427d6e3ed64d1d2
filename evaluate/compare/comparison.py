"""The comparison itself: a row for each encoder, and the table and pictures of all rows.

In: a source and encoders. Out: a `Comparison`, written to disk.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from cbir.collection.interface import Engine
from cbir.collection.point import text_of
from cbir.core.atomic import write_atomic
from cbir.core.progress import Progress, silent
from cbir.core.settings import Settings
from cbir.evaluate.compare.by_labels import ByLabels
from cbir.evaluate.compare.entrants import entrants
from cbir.evaluate.compare.measure import Measurer
from cbir.evaluate.compare.row import Row
from cbir.evaluate.compare.table import cells, markdown
from cbir.evaluate.draw.canvas import require_drawing
from cbir.evaluate.draw.curve import curves
from cbir.evaluate.draw.lineup import drawn, lineup
from cbir.evaluate.options import EvaluationOptions
from cbir.evaluate.run import load_run, run_title
from cbir.evaluate.scores import Scores
from cbir.ingest.moved import known_in
from cbir.ingest.sources.source import Item, Source
from cbir.search.sheet import save_picture


@dataclass(frozen=True)
class Comparison:
    """Encoders side by side.

    Attributes
    ----------
    source : str
    rows : list of Row
        In the order the encoders were named.
    failed : dict of str to str
        Encoders that gave no row, and why.
    folder : Path
        Holds `table.md`, `curves.png` and `lineup.png`.
    leave_one_out : bool
        Nothing is held out: stored images are the queries, each left out of its own ranking.
    """

    source: str
    rows: list[Row[Scores]]
    failed: dict[str, str]
    folder: Path
    leave_one_out: bool

    @property
    def title(self) -> str:
        """Which source, how many images and queries."""
        row = self.rows[0]
        return run_title(Path(self.source).name, row.points, row.scores.queries, leave_one_out=self.leave_one_out)

    @property
    def curves(self) -> Path:
        """LRAP against depth, a line for each encoder, a PNG."""
        return self.folder / "curves.png"

    @property
    def lineup(self) -> Path:
        """The same queries and what each encoder finds, a PNG."""
        return self.folder / "lineup.png"

    @property
    def table(self) -> Path:
        """The table, Markdown."""
        return self.folder / "table.md"

    @property
    def files(self) -> tuple[Path, ...]:
        """Table and pictures."""
        return self.table, self.curves, self.lineup

    def cells(self, *, answerable: bool = False) -> tuple[list[str], list[list[str]]]:
        """Return headings and rows of the table, or of that of the queries that can be answered."""
        return cells(self.rows, self.failed, answerable=answerable)

    def markdown(self) -> str:
        """Return the table as Markdown."""
        return markdown(self.rows, self.failed)

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values; keys of depths are strings."""
        return {
            "source": self.source,
            "leave_one_out": self.leave_one_out,
            "rows": [row.as_json() for row in self.rows],
            "failed": self.failed,
            "table": str(self.table),
            "curves": str(self.curves),
            "lineup": str(self.lineup),
        }


def compare_encoders(
    source: Source,
    encoders: Sequence[str],
    options: Mapping[str, Any],
    engine: Engine,
    settings: Settings,
    evaluation: EvaluationOptions,
    *,
    limit: int | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Train, ingest and evaluate the encoders that have not been yet, and put all side by side.

    Parameters
    ----------
    source : Source
    encoders : sequence of str
        In text form, such as `autoencoder:epochs=5`; if empty, all that the source allows.
    options : Mapping
        Of all encoders that have them; those that are None do not count.
    engine : Engine
    settings : Settings
    evaluation : EvaluationOptions
    limit : int, optional
        The most images to store.
    progress : Progress

    Returns
    -------
    Comparison

    Raises
    ------
    CbirError
        No such encoder, or none of the encoders gave a row.
    UnlabelledError
        The source has no labels.
    """
    require_drawing()
    found = entrants(source, encoders, options)
    measurer = Measurer(settings, engine, source, ByLabels(source, evaluation, limit), limit)
    rows, failed = measurer.rows(found, progress)
    held_out = any(query.label is not None for query in source.queries())
    comparison = Comparison(str(source), rows, failed, measurer.folder(rows), not held_out)
    _draw(comparison, engine, source)
    return comparison


def _draw(comparison: Comparison, engine: Engine, source: Source) -> None:
    """Write the table, and those pictures of these rows that do not exist yet."""
    rows = comparison.rows
    if not comparison.curves.exists():
        write_atomic(comparison.curves, curves({row.encoder: row.scores for row in rows}, comparison.title))
    if not comparison.lineup.exists():
        runs = {row.encoder: load_run(row.folder / "run.npz") for row in rows}
        shown: dict[str, Item] = {}
        for row in rows:
            shown |= _shown(engine, row.collection, source, *drawn(runs[row.encoder], runs[rows[0].encoder]))
        save_picture(lineup(runs, shown), comparison.lineup)
    write_atomic(comparison.table, comparison.markdown().encode())


def _shown(engine: Engine, name: str, source: Source, uris: set[str], points: set[str]) -> dict[str, Item]:
    """Return those of a source's items that have these uris, by their uris, and those of stored points, by their ids.

    They are looked up in the row's collection, which may know the source by another name.
    """
    known = known_in(engine, name, engine.metadata(name), source)
    with closing(engine.open(name)) as collection:
        stored = collection.payloads(list(points))
    ids = {(text_of(payload, "source"), text_of(payload, "uri")): point for point, payload in stored.items()}
    shown = {}
    for item in chain(known.items(), known.queries()):
        if item.uri in uris:
            shown[item.uri] = item
        if item.place in ids:
            shown[ids[item.place]] = item
    return shown
