"""All of it: stored pictures become groups of the same picture, and of pictures that are only alike.

In: a searcher. Out: a `Duplicates`. Exact copies are known by their hashes, without
opening anything. What else is near enough (`calibration`, `candidates`) is opened
and compared by geometry (`relation`), each picture once where that is possible.
"""

from collections.abc import Set
from itertools import pairwise

import numpy as np

from cbir.collection.filter import Where, filter_of
from cbir.collection.interface import Collection
from cbir.collection.point import Payload, raw_ids, text_of
from cbir.core.progress import Progress, silent
from cbir.core.workers import batched
from cbir.search.duplicates.calibration import calibrate
from cbir.search.duplicates.candidates import candidates
from cbir.search.duplicates.compared import Compared
from cbir.search.duplicates.grouping import grouped
from cbir.search.duplicates.looks import Looks
from cbir.search.duplicates.options import DuplicatesOptions
from cbir.search.duplicates.result import Duplicates
from cbir.search.searcher import Searcher

#: Points whose payloads are read at once.
_BATCH = 1000
_FIELDS = ("sha256", "copies")


def find_duplicates(
    searcher: Searcher,
    options: DuplicatesOptions | None = None,
    *,
    where: Where | None = None,
    progress: Progress = silent,
) -> Duplicates:
    """Group the pictures of a collection that are the same.

    Parameters
    ----------
    searcher : Searcher
    options : DuplicatesOptions, optional
    where : Where, optional
        Only among points that pass this filter; of the places of one, only those that pass.
    progress : Progress
        Stages `load`, `calibrate`, `candidates`, `confirm`.

    Raises
    ------
    CbirError
        Pictures are to be compared, and none can be opened.
    """
    options = options or DuplicatesOptions()
    collection = searcher.collection
    total = collection.count(where=where)
    ids, same, copied = listed(collection, total, where, progress)
    used, near = None, list[tuple[str, str]]()
    if len(ids) > 1:
        used = calibrate(searcher, ids, options, where=where, progress=progress)
        near = candidates(collection, used.distance, options.nearest, where=where, total=total, progress=progress)
    exact = [pair for points in same for pair in pairwise(points)]
    payloads = _payloads(collection, {point for pair in (*near, *exact) for point in pair} | set(copied))
    near = [pair for pair in near if pair[0] in payloads and pair[1] in payloads]  # others were removed meanwhile
    compared = Compared(Looks(searcher, payloads), payloads)
    compared.compare(near, progress)
    made, alike = grouped(compared, exact, copied, searcher.metadata, filter_of(where))
    unreadable = compared.looks.unreadable
    return Duplicates(
        collection=searcher.name,
        points=len(ids),
        threshold=used,
        compared=len(near),
        groups=tuple(made),
        alike=tuple(alike),
        unreadable=tuple((str(payloads[point].get("uri", "")), why) for point, why in unreadable.items()),
    )


def listed(
    collection: Collection, total: int, where: Where | None = None, progress: Progress = silent
) -> tuple[np.ndarray, list[list[str]], list[str]]:
    """Return all ids, the ids of points that have a hash in common, and those of points with several places.

    Parameters
    ----------
    collection : Collection
    total : int
        Points there are, for the progress.
    where : Where, optional
    progress : Progress
        Stage `load`.

    Returns
    -------
    ids : ndarray of uint8, shape (n, 16)
        24 bytes a point are held, with 8 of each hash; only those that repeat are read again.
    same : list of list of str
    copied : list of str
    """
    ids, hashes = [np.empty((0, 16), np.uint8)], [np.empty(0, np.int64)]
    copied: list[str] = []
    done = 0
    for page in collection.scroll(vectors=False, fields=_FIELDS, where=where):
        ids.append(raw_ids(page.ids))
        known = (text_of(payload, "sha256") for payload in page.payloads)
        hashes.append(np.array([hash(each) for each in known if each], np.int64))
        copied += [point for point, payload in zip(page.ids, page.payloads, strict=True) if payload.get("copies")]
        done += len(page.ids)
        progress("load", done, max(total, done))
    values, counts = np.unique(np.concatenate(hashes), return_counts=True)
    return np.concatenate(ids), _same(collection, set(values[counts > 1].tolist()), where), copied


def _same(collection: Collection, repeated: Set[int], where: Where | None) -> list[list[str]]:
    """Return the ids of points of the same SHA-256, among those whose hashes are of these numbers."""
    if not repeated:
        return []
    by_hash: dict[str, list[str]] = {}
    for page in collection.scroll(vectors=False, fields=_FIELDS[:1], where=where):
        for point, payload in zip(page.ids, page.payloads, strict=True):
            sha256 = text_of(payload, "sha256")
            if sha256 and hash(sha256) in repeated:
                by_hash.setdefault(sha256, []).append(point)
    return [points for points in by_hash.values() if len(points) > 1]


def _payloads(collection: Collection, ids: set[str]) -> dict[str, Payload]:
    found: dict[str, Payload] = {}
    for some in batched(sorted(ids), _BATCH):
        found |= collection.payloads(some)
    return found
