"""A source is compared with what is stored: which items are unchanged, described anew, or have to be read.

In: items, and the table of stored places. Out: a status for each item. No
picture is opened: a file whose stamp is as stored counts as the same. If it is
not, or if nothing is stored at that place, the content decides: read.py hashes
the file, and store.py finds out whether it was moved, copied or replaced.
"""

from collections.abc import Iterable
from enum import IntEnum

from cbir.collection.point import same_payload
from cbir.core.progress import Progress, silent
from cbir.core.workers import batched
from cbir.ingest.described import fields_of, place_of
from cbir.ingest.places import Claim, Places, State
from cbir.ingest.sources.source import Item

#: Items compared between two reports of progress.
_BATCH = 1024


class Status(IntEnum):
    """What has to be done about an item."""

    UNCHANGED = 0  # nothing: it is stored as it is
    DESCRIBED = 1  # its payload has to be replaced; the picture is the stored one
    READ = 2  # its file has to be read, or it is new


def compare(
    items: Iterable[Item], places: Places, *, total: int, checksum: bool = False, progress: Progress = silent
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
    progress : Progress
        Stage `compare`.

    Returns
    -------
    bytearray
        A `Status` for each item, a byte each.
    """
    statuses = bytearray()
    for batch in batched(items, _BATCH):
        states: list[tuple[Claim, State]] = []
        descriptions: list[tuple[Claim, object]] = []
        for item in batch:
            claims = places.at(*item.place)
            right = None if checksum and item.content is not None else _right(item, claims)
            if right is None:
                statuses.append(Status.READ)
                states += [(claim, State.UNSURE) for claim in claims]
                continue
            states += [(claim, State.SURE if claim is right else State.DISPLACED) for claim in claims]
            if right.first:
                same = not item.described or same_payload(places.described(right), fields_of(item))
                statuses.append(Status.UNCHANGED if same else Status.DESCRIBED)
            else:  # the point is described by its first place; this place may become that
                statuses.append(Status.UNCHANGED)
                descriptions.append((right, fields_of(item)))
        places.note(states, descriptions)
        progress("compare", len(statuses), total)
    return statuses


def _right(item: Item, claims: list[Claim]) -> Claim | None:
    """Return the one claim that is right about what an item shows; None if reading the file has to tell."""
    if item.content is None:
        return claims[0] if claims else None
    fitting = [claim for claim in claims if claim.sha256 is not None and claim.detailed and _same_file(item, claim)]
    return fitting[0] if len(fitting) == 1 else None


def _same_file(item: Item, claim: Claim) -> bool:
    """Tell whether a file's stamp is as stored; what an older cbir did not store does not count."""
    now = place_of(item).stamp
    return all(stored is None or stored == value for stored, value in zip(claim.place.stamp, now, strict=True))
