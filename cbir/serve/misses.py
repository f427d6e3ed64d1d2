"""The worst misses of a stored run: what was searched for, and what came first instead.

In: the folder of a run. Out: `Missed`, the ids of pictures where they are stored ones. Reading a run of many queries
takes a moment, so the last ones read are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from cbir.evaluate.copies.run import load_copies
from cbir.evaluate.draw.misses import worst
from cbir.evaluate.run import load_run

#: Misses that a page shows.
_MOST = 8
#: Queries whose rankings are unpacked at once.
_BLOCK = 64


@dataclass(frozen=True)
class Missed:
    """A search that failed.

    Attributes
    ----------
    query : str or None
        The id of the picture that was searched for; None if it may not be a stored one.
    uri : str
        Its uri.
    edit : str
        How it was edited; empty: not at all.
    found : str
        The id of what came first.
    place : int or None
        Where the first right one was, counted from 1; None: not among those that were looked at.
    """

    query: str | None
    uri: str
    edit: str
    found: str
    place: int | None


def missed_labels(file: Path) -> list[Missed]:
    """Return queries whose first hit had another label, those with the farthest right one first."""
    return _labels(file, _stamp(file))


def missed_copies(file: Path) -> list[Missed]:
    """Return edited copies whose original did not come first."""
    return _copies(file, _stamp(file))


def _stamp(file: Path) -> int:
    return file.stat().st_mtime_ns if file.is_file() else 0


@lru_cache(maxsize=8)
def _labels(file: Path, _: int) -> list[Missed]:
    run = load_run(file)
    places = np.empty(len(run), int)
    for start in range(0, len(run), _BLOCK):
        relevant, _tied = run.bits(start, min(start + _BLOCK, len(run)))
        places[start : start + _BLOCK] = np.where(relevant.any(axis=1), relevant.argmax(axis=1), 0)
    order = np.argsort(-places, kind="stable")[:_MOST]
    return [
        Missed(None, str(run.query_uris[n]), "", str(run.exact_ids[n, 0]), int(places[n]) + 1)
        for n in order
        if places[n] > 0
    ]


@lru_cache(maxsize=8)
def _copies(file: Path, _: int) -> list[Missed]:
    run = load_copies(file)
    missed = []
    for miss in worst(run, _MOST):
        original, place = run.pictures[miss.picture], int(run.places[miss.picture, miss.edit])
        edit = run.edits[miss.edit].name
        missed.append(Missed(original.id, original.uri, edit, miss.found.id, None if place < 0 else place + 1))
    return missed
