"""Whether a collection has labels to evaluate with, found out without loading its features.

In: a searcher. Out: yes or no, or an error that says what can be measured without labels.
"""

from collections.abc import Sequence

from cbir.evaluate.run import RunError
from cbir.search.searcher import Searcher


class NoLabelsError(RunError):
    """Collections that have no labels to evaluate with.

    Parameters
    ----------
    collections : sequence of str
        Their names, at least one.
    """

    def __init__(self, collections: Sequence[str]) -> None:
        self.collections = tuple(collections)
        first = self.collections[0]
        named = f"collection '{first}' has" if len(self.collections) == 1 else f"collections {self._listed} have"
        super().__init__(
            f"{named} no labels to evaluate with; put the pictures into one folder per class and ingest that folder. "
            f"Edited copies of the pictures need no labels: cbir evaluate --collection {first} "
            f"(in Python: cbir.evaluate_copies({first!r}))"
        )

    @property
    def _listed(self) -> str:
        return ", ".join(f"'{name}'" for name in self.collections)


def has_labels(searcher: Searcher) -> bool:
    """Tell whether any stored image has a label; reads payloads until one has."""
    pages = searcher.collection.scroll(vectors=False, fields=("label",))
    return any(payload.get("label") is not None for page in pages for payload in page.payloads)


def require_labels(searcher: Searcher) -> None:
    """Refuse a collection that cannot be evaluated by labels.

    Raises
    ------
    NoLabelsError
        Not one stored image has a label.
    RunError
        Nothing is stored.
    """
    require_images(searcher)
    if not has_labels(searcher):
        raise NoLabelsError([searcher.name])


def require_images(searcher: Searcher) -> int:
    """Return how many images are stored; RunError if there are none."""
    total = searcher.collection.count()
    if not total:
        raise RunError(f"collection '{searcher.name}' is empty; fill it with: cbir ingest")
    return total
