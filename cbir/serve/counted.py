"""Counts of a field's values are kept until the collection changes: those of times and of folders read every point.

In: a collection and what is counted. Out: values and numbers of points. Counts of a Qdrant server's collections are not
kept: other tools change these, and tell nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbir.collection.filter import Exists, both
from cbir.serve.background import stamp_of
from cbir.serve.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Hashable

    from cbir.collection.filter import Filter
    from cbir.collection.groups import Grouping
    from cbir.collection.interface import Collection
    from cbir.collection.point import Label
    from cbir.search.searcher import Searcher

#: Values at the most that are told, and so kept.
MOST_VALUES = 1000
_BYTES, _VALUE_BYTES = 16 << 20, 200


@dataclass(frozen=True)
class Counts:
    """The most frequent values of a field, how many values there are, and of the points that pass, how many have one.

    Attributes
    ----------
    found : list of (str or int or bool, int)
        `MOST_VALUES` at the most.
    values : int
    points : int
    having : int
    """

    found: list[tuple[Label, int]]
    values: int
    points: int
    having: int


class Counted:
    """Counts by what was counted; threads share them.

    Parameters
    ----------
    keeping : bool
        Whether to keep any.
    """

    def __init__(self, *, keeping: bool) -> None:
        self._keeping = keeping
        self._kept: Kept[Counts] = Kept(_BYTES)

    def of(
        self, searcher: Searcher, collection: Collection, grouping: Grouping, where: Filter | None, asked: Hashable
    ) -> Counts:
        """Count the values of a field; `asked` tells these counts from others of the same collection."""
        # While it is filled, its stamp stays, and its number of points does not.
        key = searcher.name, stamp_of(searcher), collection.count(), asked
        counts = self._kept.get(key) if self._keeping else None
        if counts is None:
            counts = _counts(collection, grouping, where)
            self._kept.put(key, counts, _VALUE_BYTES * (1 + len(counts.found)))
        return counts


def _counts(collection: Collection, grouping: Grouping, where: Filter | None) -> Counts:
    field = grouping.field.name
    found = collection.facet(field, where=where, group=grouping.group)
    having = collection.count(where=both(where, Exists(field)))
    return Counts(found[:MOST_VALUES], len(found), collection.count(where=where), having)
