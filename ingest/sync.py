"""A source is compared with a collection: which items are new or changed, have another payload, or are unchanged.

In: items. Out: each with what has to be done. Payloads are fetched from the
collection in batches, and no picture is opened: a file whose size and time of
change are as stored counts as the same. If they differ, the content decides:
read.py hashes it, as it reads the file anyway.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cbir.collection.fields import FIELDS
from cbir.collection.interface import Collection
from cbir.collection.point import Payload, same_payload
from cbir.core.workers import batched
from cbir.ingest.sources.source import STAMP, Item

#: Items whose payloads are fetched at once.
_BATCH = 256
#: Fields that cbir writes.
_OURS = {field.name for field in FIELDS}
_SECOND = 1_000_000_000


class Status(Enum):
    """What has to be done about an item."""

    UNCHANGED = "nothing: it is stored as it is"
    UPDATED = "its payload has to be replaced; the picture is the stored one"
    UNSURE = "its file has to be read: if its hash is not the stored one, it has to be encoded"
    CHANGED = "it has to be encoded: it is new, or another picture than the stored one"


@dataclass(frozen=True)
class Compared:
    """An item, its `status`, and the `stored` payload of its point, if there is one."""

    item: Item
    status: Status = Status.CHANGED
    stored: Payload | None = None

    @property
    def updated_payload(self) -> Payload:
        """The item's fields, and those that other tools or the encoder added to the stored point, which stays."""
        return self._merged(without={"label"})

    @property
    def new_payload(self) -> Payload:
        """The item's fields, and those that other tools added; what is ours describes the stored picture."""
        return self._merged(without=_OURS)

    def _merged(self, without: Set[str]) -> Payload:
        stored = {name: value for name, value in (self.stored or {}).items() if name not in without}
        return {**stored, **self.item.description}


def compare(items: Iterable[Item], collection: Collection) -> Iterator[Compared]:
    """Compare items with the points of a collection.

    Parameters
    ----------
    items : iterable of Item
        Taken a batch ahead at the most.
    collection : Collection
        Only read from.

    Yields
    ------
    Compared
        In the items' order.
    """
    for batch in batched(items, _BATCH):
        ids = [item.id for item in batch]
        payloads = collection.payloads(ids)
        for item, stored in zip(batch, map(payloads.get, ids), strict=True):
            yield Compared(item, _status(item, stored), stored)


def _status(item: Item, stored: Payload | None) -> Status:
    if stored is None:
        return Status.CHANGED
    if item.content is None:  # no file: nothing but a label or a field of the payload can change
        return Status.UNCHANGED if same_payload(stored, item.description) else Status.UPDATED
    if "sha256" not in stored:  # stored by a version that had seconds, and no hash, which reading the file adds
        return Status.UNSURE if _same_stamp(stored, _in_seconds(item.payload)) else Status.CHANGED
    if not _same_stamp(stored, item.payload):
        return Status.UNSURE
    return Status.UNCHANGED if same_payload(stored, item.description) else Status.UPDATED


def _same_stamp(stored: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether the stamps are the same; a field that an older cbir did not store does not count."""
    return all(stored[name] == found.get(name) for name in STAMP if name in stored) and "bytes" in stored


def _in_seconds(payload: Mapping[str, Any]) -> dict[str, Any]:
    modified = payload.get("modified")
    return {**payload, "modified": None if modified is None else int(modified / _SECOND)}
