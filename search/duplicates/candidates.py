"""Which pairs of stored pictures are worth opening: those whose features are near.

In: a collection and a distance. Out: pairs of ids, each once. The points pass page
by page, and Qdrant says what is nearest to each: nothing compares all with all,
and only pairs that are near are kept.
"""

from collections.abc import Sequence

from cbir.collection.filter import Where
from cbir.collection.interface import Collection
from cbir.core.progress import Progress, silent
from cbir.core.workers import batched

#: Points that are searched for at once.
_BATCH = 256


def candidates(
    collection: Collection,
    distance: float,
    nearest: int,
    *,
    where: Where | None = None,
    total: int | None = None,
    progress: Progress = silent,
) -> list[tuple[str, str]]:
    """Find the pairs of points that are no farther apart than a distance.

    Parameters
    ----------
    collection : Collection
    distance : float
    nearest : int
        Of each point, at most so many others are looked at.
    where : Where, optional
        Only points that pass this filter.
    total : int, optional
        Points there are, for the progress.
    progress : Progress
        Stage `candidates`.

    Returns
    -------
    list of (str, str)
        Ids, the smaller first; each pair once.
    """
    pairs: dict[tuple[str, str], None] = {}
    passed = 0
    for page in collection.scroll(fields=(), where=where):
        for rows in batched(range(len(page.ids)), _BATCH):
            # One more: each point is nearest to itself.
            found = collection.search_batch(page.vectors[rows], nearest + 1, where=where, payloads=False)
            for row, hits in zip(rows, found, strict=True):
                own = page.ids[row]
                for hit in hits:
                    if hit.id != own and hit.distance <= distance:
                        pairs[min(own, hit.id), max(own, hit.id)] = None
            passed += len(rows)
            progress("candidates", passed, total)
    return list(pairs)


def in_good_order(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Order pairs so that those that share a picture come one after the other: a picture opened once serves for many.

    The pictures are walked through from neighbour to neighbour; pairs follow in the order of the picture met later.
    """
    neighbours: dict[str, list[str]] = {}
    for one, other in pairs:
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    place: dict[str, int] = {}
    for start in neighbours:
        waiting = [start]
        while waiting:
            upcoming = []
            for each in waiting:
                if each not in place:
                    place[each] = len(place)
                    upcoming += neighbours[each]
            waiting = upcoming
    return sorted(pairs, key=lambda pair: sorted((place[pair[0]], place[pair[1]]), reverse=True))
