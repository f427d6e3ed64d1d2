"""Encoders are measured without labels: edited copies of stored pictures are searched for.

In: a collection of each encoder. Out: `Shares`, and the run, its table and its worst misses as `evaluate_copies`
stores them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cbir.core.progress import Progress
from cbir.evaluate.compare.entrants import Entrant
from cbir.evaluate.copies.measure import measure_copies
from cbir.evaluate.copies.result import store_copies
from cbir.evaluate.copies.run import Row as Edited
from cbir.evaluate.options import CopiesOptions
from cbir.ingest.sources.source import Item
from cbir.model.distortion import COPIES
from cbir.search.searcher import Searcher


@dataclass(frozen=True)
class Shares:
    """How often an encoder finds the originals of edited copies.

    Attributes
    ----------
    pictures : int
        How many were edited.
    edits : tuple of Row
        For each edit the share of pictures whose original came first, and among the first ten.
    mean : Row
    """

    pictures: int
    edits: tuple[Edited, ...]
    mean: Edited


class ByCopies:
    """The same pictures, edited alike, for all encoders.

    Parameters
    ----------
    options : CopiesOptions
    """

    def __init__(self, options: CopiesOptions) -> None:
        self._options = options

    @property
    def facts(self) -> Mapping[str, Any]:
        """The options, and how pictures are edited."""
        return {**asdict(self._options), "edits": [str(distortion) for _, distortion in COPIES]}

    def prepare(self, entrant: Entrant) -> None:
        """Refuse nothing: no label is looked at."""

    def measured(
        self,
        searcher: Searcher,
        entrant: Entrant,  # noqa: ARG002 - as all ways to measure
        present: Iterable[Item],  # noqa: ARG002
        folder: Path,
        progress: Progress,
    ) -> Shares:
        """Edit pictures and search for the originals."""
        run = measure_copies(searcher, COPIES, self._options, progress=progress)
        store_copies(run, COPIES, searcher, folder)
        return Shares(len(run), run.rows, run.mean)

    def read(self, stored: Mapping[str, Any]) -> Shares:
        """Return stored shares."""
        edits = tuple(Edited(**edit) for edit in stored["edits"])
        return Shares(stored["pictures"], edits, Edited(**stored["mean"]))
