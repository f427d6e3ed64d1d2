"""All of it: stored pictures become groups of the same picture, and of pictures that are only alike.

In: a searcher. Out: a `Duplicates`. Exact copies are known by their hashes, without
opening anything. What else is near enough (`calibration`, `candidates`) is opened
and compared by geometry (`relation`), each picture once where that is possible.
"""

from itertools import pairwise

from cbir.collection.filter import Where, filter_of
from cbir.collection.interface import Collection
from cbir.collection.point import Payload
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
    ids, same, copied = _listed(collection, total, where, progress)
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


def _listed(
    collection: Collection, total: int, where: Where | None, progress: Progress
) -> tuple[list[str], list[list[str]], list[str]]:
    """Return all ids, the ids of points that have a hash in common, and those of points with several places."""
    ids: list[str] = []
    by_hash: dict[str, list[str]] = {}
    copied = []
    for page in collection.scroll(vectors=False, fields=_FIELDS, where=where):
        for point, payload in zip(page.ids, page.payloads, strict=True):
            if payload.get("sha256"):
                by_hash.setdefault(str(payload["sha256"]), []).append(point)
            if payload.get("copies"):
                copied.append(point)
        ids += page.ids
        progress("load", len(ids), max(total, len(ids)))
    return ids, [points for points in by_hash.values() if len(points) > 1], copied


def _payloads(collection: Collection, ids: set[str]) -> dict[str, Payload]:
    found: dict[str, Payload] = {}
    for some in batched(sorted(ids), _BATCH):
        found |= collection.payloads(some)
    return found
