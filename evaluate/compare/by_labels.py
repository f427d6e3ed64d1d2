"""Encoders are measured by labels: queries are searched, and hits of the query's label are right.

In: a source with labels, and a collection of each encoder. Out: `Scores`, and the run, scores and curve as `evaluate`
stores them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from cbir.core.errors import CbirError
from cbir.core.progress import Progress
from cbir.core.words import counted
from cbir.evaluate.compare.entrants import Entrant
from cbir.evaluate.evaluation import store_evaluation
from cbir.evaluate.heldout import left_behind
from cbir.evaluate.options import EvaluationOptions
from cbir.evaluate.protocol import evaluate
from cbir.evaluate.scores import Scores, read_scores
from cbir.evaluate.unstored import unstored
from cbir.ingest.sources.source import Item, Source
from cbir.search.searcher import Searcher


class ByLabels:
    """The same queries for all encoders.

    Parameters
    ----------
    source : Source
    options : EvaluationOptions
    limit : int, optional
        The most images to store.
    """

    def __init__(self, source: Source, options: EvaluationOptions, limit: int | None) -> None:
        self._source = source
        self._options = options
        self._limit = limit
        self._asked: list[Item] | None = None

    @property
    def facts(self) -> Mapping[str, Any]:
        """The options."""
        return asdict(self._options)

    @cached_property
    def _held_out(self) -> list[Item]:
        return self._source.queries()

    def prepare(self, entrant: Entrant) -> None:
        """Refuse what would be asked for what it learned."""
        if not self._held_out and entrant.kind.learns_from == "labels":
            raise CbirError(
                "it is trained with labels, and would be tested on its own training pictures; put some pictures of "
                f"{self._source} into a folder 'queries', and the others into 'database'"
            )

    def measured(
        self, searcher: Searcher, entrant: Entrant, present: Iterable[Item], folder: Path, progress: Progress
    ) -> Scores:
        """Search the queries."""
        if self._held_out and (gone := left_behind(searcher.collection, present)):
            raise CbirError(
                f"collection '{searcher.name}' holds {counted(gone, 'picture')} that {self._source} no longer has, "
                f"which may be among the queries; {entrant.advice(self._source, self._limit)}"
            )
        if self._asked is None:  # the same for all collections, which hold the same pictures
            self._asked = unstored(self._held_out, searcher.collection)
        run = evaluate(searcher, self._asked, self._options, progress=progress)
        return store_evaluation(run, folder).scores

    def read(self, stored: Mapping[str, Any]) -> Scores:
        """Return stored scores."""
        return read_scores(stored)
