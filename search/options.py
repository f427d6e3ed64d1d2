"""The options of a search, declared once: Python's keywords, the command line's flags and their help come from here.

`RankingOptions` are those of the steps around a search (`cbir.search.stages`),
which an evaluation takes too. `SearchOptions` are all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from cbir.collection.filter import Among, Filter, Where, both, filter_of
from cbir.collection.point import Label
from cbir.core.options import OptionError, check_options, option

if TYPE_CHECKING:
    from cbir.collection.interface import Collection


@dataclass(frozen=True)
class RankingOptions:
    """Options that change the ranking that the encoder's distances give."""

    expand: int = option(0, "Average the query with its N nearest and search again; 0: search once.", least=0)
    rerank: bool = option(False, "Re-rank the first hits by their k-reciprocal neighbours.")

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def ranking(self) -> dict[str, Any]:
        """These options by name, without those that a subclass adds."""
        return {field.name: getattr(self, field.name) for field in fields(RankingOptions)}


@dataclass(frozen=True)
class SearchOptions(RankingOptions):
    """All options of a search.

    Attributes
    ----------
    labels : sequence of int or str, optional
        Only points with one of these labels; Qdrant filters while it searches.
    where : Filter, Mapping, str or sequence of str, optional
        A filter, payload fields with the values allowed in each, or text as `--where` takes it (see
        `cbir.collection.filter_text`); not on `label` if there are `labels`.
    """

    k: int = option(10, "Hits for each query.", least=1)
    exact: bool = option(False, "Compare with every point, not by the HNSW index.")
    invert: bool = option(False, "Swap dark and light in the query.")
    text: bool = option(False, "Queries are words, whatever files there are.")
    prune: int | None = option(None, "Rank only images whose short code differs in at most N bits.", least=0)
    max_distance: float | None = option(None, "Leave out what is farther from the query than this.", least=0)
    not_itself: bool = option(False, "Leave out the query's own file, and others with the same content.")
    sort: str | None = option(None, "Sort the hits by a field: taken_at, or bytes:desc.")
    labels: Sequence[Label] | None = None
    where: Where | str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.where, Sequence):  # text is read when it is known which fields there are
            self._check_labels(filter_of(self.where))

    def filters(self, collection: "Collection") -> Filter | None:
        """Return all that limits which points of a collection are searched, `labels` among it; None if nothing does.

        Raises
        ------
        FilterError
            Text that is no condition, or names a field that no point has.
        """
        filtered = None
        if self.where is not None:
            from cbir.collection.stored_fields import read_where  # 15 ms of a cold search

            filtered = read_where(self.where, collection)
        self._check_labels(filtered)
        labels = None if self.labels is None else Among("label", self.labels)  # type: ignore[arg-type]  # any sequence
        return both(filtered, labels)

    def _check_labels(self, filtered: Filter | None) -> None:
        if self.labels is not None and filtered is not None and "label" in filtered.fields:
            raise OptionError("labels and where both filter by 'label': give only one of them")


class RankingKeywords(TypedDict, total=False):
    """`RankingOptions` as the types of keyword arguments."""

    expand: int
    rerank: bool


class SearchKeywords(RankingKeywords, total=False):
    """`SearchOptions` as the types of keyword arguments, but for `k`, which may be positional."""

    exact: bool
    invert: bool
    text: bool
    prune: int | None
    max_distance: float | None
    not_itself: bool
    sort: str | None
    labels: Sequence[Label] | None
    where: Where | str | Sequence[str] | None


def search_options(
    options: SearchOptions | None = None, k: int | None = None, **given: Unpack[SearchKeywords]
) -> SearchOptions:
    """Return options with those that are given put in their place.

    Raises
    ------
    OptionError
        A value that an option does not take, or options that exclude each other.
    """
    return replace(options or _DEFAULTS, **given, **({} if k is None else {"k": k}))


_DEFAULTS = SearchOptions()
