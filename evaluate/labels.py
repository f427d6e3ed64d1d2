"""Whether a collection has labels to evaluate with, found out without loading its features.

In: a searcher. Out: yes or no, or an error that says what can be measured without labels.
"""

from collections.abc import Iterable, Sequence

from cbir.collection.point import Label, label_of
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
            f"{named} no labels that tell pictures apart; put the pictures into one folder per class and ingest that "
            f"folder. Edited copies of the pictures need no labels: cbir evaluate --collection {first} "
            f"(in Python: cbir.evaluate_copies({first!r}))"
        )

    @property
    def _listed(self) -> str:
        return ", ".join(f"'{name}'" for name in self.collections)


def has_labels(searcher: Searcher) -> bool:
    """Tell whether labels tell any two stored images apart; reads payloads until they do.

    Where all have the same label, as in a single folder of pictures, every hit would be right.
    """
    pages = searcher.collection.scroll(vectors=False, fields=("label",))
    return tell_apart(label_of(payload) for page in pages for payload in page.payloads)


def tell_apart(labels: Iterable[Label | None]) -> bool:
    """Tell whether there are two among labels that are not the same, or of which one is missing; looks no further.

    A single label does: there is nothing to be told from.
    """
    texts = (None if label is None else str(label) for label in labels)
    first, second = next(texts, None), next(texts, ...)
    if second is ...:
        return first is not None
    return first != second or any(text != first for text in texts)


def require_labels(searcher: Searcher) -> None:
    """Refuse a collection that cannot be evaluated by labels.

    Raises
    ------
    NoLabelsError
        Not one stored image has a label, or all have the same.
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
