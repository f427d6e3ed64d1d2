"""Maps of collections, and what their points are coloured by.

In: a searcher. Out: its map, once that is made: by principal components when first asked for, by neighbours when
somebody asks for that, both in the background. It is kept with the collection and brought up to date when that changes.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbir.collection.filter_text import known_field
from cbir.collection.groups import Grouping, usual_way
from cbir.collection.stored_fields import StoredFields
from cbir.serve.background import Background, Work

if TYPE_CHECKING:
    from pathlib import Path

    from cbir.collection.point import Label
    from cbir.core.progress import Progress
    from cbir.core.settings import Settings
    from cbir.search.map.kept import Map
    from cbir.search.searcher import Searcher

#: Values with a colour of their own.
_COLOURS = 11
#: What a point counts as whose value has no colour of its own, and one without a value.
OTHER, WITHOUT = 254, 255
#: Colourings that are remembered.
_REMEMBERED = 8


@dataclass(frozen=True)
class Colouring:
    """What each point of a map counts as.

    Attributes
    ----------
    values : tuple of (int or str or bool, int)
        Values with a colour of their own, in their natural order, and how many points have each.
    groups : ndarray of uint8, shape (n,)
        A place in `values`, `OTHER` or `WITHOUT`, for each point of the map.
    """

    values: tuple[tuple[Label, int], ...]
    groups: np.ndarray


class Maps:
    """Maps by collection; threads share it.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made = Background(self._make, "read")
        self._arranged = Background(self._arrange, "read", alone="is being arranged")
        self._lock = threading.Lock()
        #: Held to write a map.
        self._keeping = threading.Lock()
        self._colourings: dict[tuple[str, str, str], Colouring] = {}

    def of(self, searcher: Searcher) -> tuple[Map | None, Work[Map]]:
        """Return a collection's map if it is made, and what is being done; begin to make it."""
        made, arranged = self._made.of(searcher), self._arranged.of(searcher)
        known = arranged.result or made.result
        if known is not None and not arranged.stage:
            with searcher.used() as collection:
                changed = collection.count() != len(known.ids)
            if changed:  # by somebody who changes points, and does not say so
                self._made.forget(searcher)
                self._arranged.forget(searcher)
                known, arranged = None, Work()
        if known is None and not made.problem:
            made = self._made.begin(searcher)
        return known, arranged if arranged.stage or arranged.problem else made

    def arrange(self, searcher: Searcher) -> tuple[Map | None, Work[Map]]:
        """Begin to arrange by neighbours, unless that is done or under way."""
        known, work = self.of(searcher)
        if known is None or known.neighbours is None or known.placed:
            work = self._arranged.begin(searcher)
        return known, work

    def colouring(self, searcher: Searcher, made: Map, field: str) -> Colouring:
        """Return what points count as by a field; FilterError if there is no such field, or it cannot be counted."""
        key = searcher.name, made.version, field
        with self._lock:
            known = self._colourings.get(key)
        if known is None:
            known = _coloured(searcher, made, field)
            with self._lock:
                self._colourings[key] = known
                while len(self._colourings) > _REMEMBERED:
                    del self._colourings[next(iter(self._colourings))]
        return known

    def close(self) -> None:
        """End what is being made."""
        self._made.close()
        self._arranged.close()

    def _make(self, searcher: Searcher, progress: Progress) -> Map:
        from cbir.search.map.kept import file_of, read_map
        from cbir.search.map.make import make_map

        known = searcher.metadata
        file = file_of(self._settings, searcher.name, known.created)
        while True:
            kept = read_map(file, known.fingerprint, known.dimension)
            made = make_map(searcher.collection, kept, progress)
            if made is kept:
                return made
            with self._keeping:
                there = read_map(file, known.fingerprint, known.dimension)
                if there is None or (kept is not None and there.version == kept.version):
                    return self._keep(file, made)
            # It was arranged meanwhile, which takes minutes: that is brought up to date in its place.

    def _arrange(self, searcher: Searcher, progress: Progress) -> Map:
        from cbir.search.map.kept import file_of
        from cbir.search.map.make import arrange_map

        file = file_of(self._settings, searcher.name, searcher.metadata.created)
        made = arrange_map(searcher.collection, self._make(searcher, progress), progress)
        with self._keeping:
            return self._keep(file, made)

    def _keep(self, file: Path, made: Map) -> Map:
        from cbir.search.map.kept import write_map

        with suppress(OSError):  # it is shown for as long as the server runs
            write_map(file, made)
        return made


def _coloured(searcher: Searcher, made: Map, field: str) -> Colouring:
    from cbir.collection.point import raw_ids
    from cbir.search.map.make import rows_of

    codes: dict[Label, int] = {}
    # 0: without a value; else the code of one.
    stored = np.zeros(len(made.ids), np.int32)
    with searcher.used() as collection:
        known = known_field(field, StoredFields(collection))
        group = Grouping(known, usual_way(known)).group
        for page in collection.scroll(vectors=False, fields=[field]):
            found = np.fromiter((_code(payload.get(field), codes) for payload in page.payloads), np.int32)
            rows = rows_of(made.ids, raw_ids(page.ids))
            stored[rows[rows >= 0]] = found[rows >= 0]
    return _grouped(stored, [group(value) if group else value for value in codes])


def _code(value: object, codes: dict[Label, int]) -> int:
    """Return a value's code, which it gets when it is first seen; 0 if it is none that is counted."""
    value = value[0] if isinstance(value, list) and value else value
    return codes.setdefault(value, len(codes) + 1) if isinstance(value, int | str) else 0


def _grouped(stored: np.ndarray, values: list[Label | None]) -> Colouring:
    """Return what points count as, given each one's code, and what the codes from 1 on stand for; None: nothing."""
    alike: dict[Label, int] = {}
    group_of = np.array([0, *(0 if value is None else alike.setdefault(value, len(alike) + 1) for value in values)])
    groups = group_of[stored]
    counts = np.bincount(groups, minlength=len(alike) + 1)[1:]
    most = np.argsort(-counts, kind="stable")[:_COLOURS].tolist()
    named = list(alike)
    coloured = [(named[place], int(counts[place])) for place in most if counts[place]]
    coloured.sort(key=lambda each: (isinstance(each[0], str), each[0]))
    colour_of = np.full(len(alike) + 1, OTHER, np.uint8)
    colour_of[0] = WITHOUT
    colour_of[[alike[value] for value, _ in coloured]] = np.arange(len(coloured))
    return Colouring(tuple(coloured), colour_of[groups])
