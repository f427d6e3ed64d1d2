"""How the encoders of a comparison are measured: what every way to do it offers.

`cbir.evaluate.compare.by_labels` and `cbir.evaluate.compare.by_copies` are the ways. In: a collection that one
encoder filled. Out: its scores, of the way's own type.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cbir.core.progress import Progress
from cbir.evaluate.compare.entrants import Entrant
from cbir.ingest.sources.source import Item
from cbir.search.searcher import Searcher

#: What a way to measure gives.
S = TypeVar("S", covariant=True)


class Judge(Protocol[S]):
    """Measures one encoder after the other, all alike."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What tells its scores from those of another judge, JSON values; `queries` and `seed` among them."""
        ...

    def prepare(self, entrant: Entrant) -> None:
        """Find out before hours of training whether an encoder can be measured; CbirError if not."""
        ...

    def measured(
        self, searcher: Searcher, entrant: Entrant, present: Iterable[Item], folder: Path, progress: Progress
    ) -> S:
        """Measure a collection and store what was found.

        Parameters
        ----------
        searcher : Searcher
        entrant : Entrant
        present : iterable of Item
            What the source has, as the collection knows it.
        folder : Path
        progress : Progress
        """
        ...

    def read(self, stored: Mapping[str, Any]) -> S:
        """Return scores that were stored as JSON values; KeyError, TypeError or ValueError if they are no scores."""
        ...
