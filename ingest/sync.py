"""A source is compared with what is stored: which items are unchanged, described anew, or have to be read.

In: items, and the table of stored places. Out: a status for each item. No
picture is opened: a file whose stamp is as stored counts as the same. If it is
not, or if nothing is stored at that place, the content decides: read.py hashes
the file, and store.py finds out whether it was moved, copied or replaced.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any

from cbir.collection.point import same_payload
from cbir.core.progress import Progress, silent
from cbir.core.workers import batched
from cbir.ingest.claim import Claim, Glance, State
from cbir.ingest.described import fields_of, place_of
from cbir.ingest.places import Places
from cbir.ingest.sources.source import STAMP, Item

#: Items compared between two reports of progress.
_BATCH = 1024


class Status(IntEnum):
    """What has to be done about an item."""

    UNCHANGED = 0  # nothing: it is stored as it is
    DESCRIBED = 1  # its payload has to be replaced; the picture is the stored one
    READ = 2  # its file has to be read, or it is new
    SKIPPED = 3  # its file could not be read at the last ingest, and is the same


def compare(
    items: Iterable[Item],
    places: Places,
    *,
    total: int,
    checksum: bool = False,
    skip: Callable[[Item], bool] = lambda _: False,
    progress: Progress = silent,
) -> bytearray:
    """Compare items with stored places.

    Parameters
    ----------
    items : iterable of Item
    places : Places
        Notes which places were seen, and which show the stored content.
    total : int
        Number of items.
    checksum : bool
        Have every file read.
    skip : callable
        Of an item that would have to be read: whether it is known that it cannot be.
    progress : Progress
        Stage `compare`.

    Returns
    -------
    bytearray
        A `Status` for each item, a byte each.
    """
    statuses = bytearray()
    for batch in batched(items, _BATCH):
        sure: list[int] = []
        states: list[tuple[Claim, State]] = []
        descriptions: list[tuple[Claim, object]] = []
        unclear: list[tuple[int, Item, Claim]] = []
        for item, glances in zip(batch, places.glances([item.place for item in batch]), strict=True):
            if len(glances) == 1 and not checksum and _is_unchanged(item, glances[0]):
                statuses.append(Status.UNCHANGED)
                sure.append(glances[0][0])
            else:
                claims = places.at(*item.place) if glances else []
                right = _right(item, claims, checksum=checksum)
                if right is not None and right.first and item.described:
                    unclear.append((len(statuses), item, right))
                unknown = Status.SKIPPED if right is None and skip(item) else Status.READ
                statuses.append(unknown if right is None else Status.UNCHANGED)
                states += [(claim, _state(claim, right)) for claim in claims]
                if right is not None and not right.first:  # the first place describes the point; this one may become it
                    descriptions.append((right, fields_of(item)))
        payloads = places.payloads(right for _, _, right in unclear)
        for number, item, right in unclear:
            if not same_payload(payloads.get(right.id), fields_of(item)):
                statuses[number] = Status.DESCRIBED
        places.sure(sure)
        places.note(states, descriptions)
        progress("compare", len(statuses), total)
    return statuses


def _is_unchanged(item: Item, glance: Glance) -> bool:
    """Tell whether an item is surely unchanged: what takes longer to find out is left to its caller."""
    _, sound, label, *stamp = glance
    if not sound or item.content is None or not _fits(tuple(map(item.payload.get, STAMP)), stamp):
        return False
    if not item.described:
        return True
    return len(fields_of(item)) == (item.label is not None) and label == item.label


def _right(item: Item, claims: list[Claim], *, checksum: bool) -> Claim | None:
    """Return the one claim that is right about what an item shows; None if reading the file has to tell."""
    if item.content is None:
        return claims[0] if claims else None
    if checksum:
        return None
    now = place_of(item).stamp
    fitting = [claim for claim in claims if claim.sha256 and claim.detailed and _fits(now, claim.place.stamp)]
    return fitting[0] if len(fitting) == 1 else None


def _state(claim: Claim, right: Claim | None) -> State:
    if right is None:
        return State.UNSURE
    return State.SURE if claim is right else State.DISPLACED


def _fits(now: Sequence[Any], then: Sequence[Any]) -> bool:
    """Tell whether a file's stamp is as stored; what an older cbir did not store does not count."""
    return all(stored is None or stored == value for stored, value in zip(then, now, strict=True))
