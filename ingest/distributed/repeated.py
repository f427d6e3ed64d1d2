"""Contents that were met more than once, or were stored before: dealt with when all new ones are stored, in order.

In: what the workers found stored already. Out: their payloads, as one process would have made them that meets the items
one by one. Two workers that meet the same new content at once both store it, and which of them is first is chance: here
the item that comes first in the source becomes the point's first place. A worker that died may have stored what nobody
heard of: that counts as stored by this run. What waits is in a temporary database, as `cbir.ingest.places` is.
"""

import pickle
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Self

import numpy as np

from cbir.collection.place import places_of, with_places
from cbir.collection.point import Payload, content_id
from cbir.core.workers import batched
from cbir.ingest.claim import State
from cbir.ingest.described import fields_of, place_of
from cbir.ingest.encode import Encoded
from cbir.ingest.read import BATCH, Batch, Fresh, Known
from cbir.ingest.shard import Work
from cbir.ingest.sources.source import Item
from cbir.ingest.store import Stored, claims_before, note_stored, store

_SCHEMA = """
CREATE TABLE known (number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, raced INTEGER NOT NULL, known BLOB NOT NULL);
CREATE TABLE fresh (sha256 TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX by_hash ON known (sha256);
"""


class Repeated:
    """What waits; to be used in a `with` block.

    Parameters
    ----------
    work : Work
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._table = sqlite3.connect("", isolation_level=None)
        for setting in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE"):
            self._table.execute(f"PRAGMA {setting}")
        self._table.executescript(_SCHEMA)
        self._table.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()

    def note_stored(self, number: int, sha256: str | None) -> None:
        """Note which item stored a new content."""
        if sha256 is not None:
            self._table.execute("INSERT OR REPLACE INTO fresh VALUES (?, ?)", (sha256, number))

    def add(self, number: int, known: Known, *, raced: bool = False) -> None:
        """Have an item wait whose content is stored; `raced`: by itself too, after another one."""
        row = (number, known.sha256, raced, pickle.dumps(known))
        self._table.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)", row)

    def settled(self) -> Generator[Stored, None, None]:
        """Store all that waits; yield what was done."""
        yield from self._adopted()
        self._put_in_order()
        gone = self._work.gone()
        work = self._work
        for page in self._pages("SELECT number, known FROM known WHERE number > ? ORDER BY number LIMIT 256", -1):
            known = [pickle.loads(row[1]) for row in page]  # noqa: S301 - our own
            yield store(_encoded(known=known), work.collection, work.places, gone, work.log, work.unreadable)

    def _adopted(self) -> Iterator[Stored]:
        """Count what a worker stored and died before it could tell."""
        places, collection = self._work.places, self._work.collection
        gone = self._work.gone()
        hashes = self._pages("SELECT DISTINCT sha256 FROM known WHERE sha256 > ? ORDER BY sha256 LIMIT 1000", "")
        unheard = (sha256 for page in hashes for (sha256,) in page if places.content(sha256) is None)
        for batch in batched(unheard, BATCH):
            payloads = collection.payloads([content_id(sha256) for sha256 in batch])
            owned: list[Fresh] = []
            for sha256 in batch:
                payload = payloads.get(content_id(sha256))
                if payload is None:
                    continue
                first, *others = places_of(payload)
                owner = next((row for row in self._waiting(sha256) if place_of(row[1].item).key == first.key), None)
                if owner is None:  # another process stores into the same collection
                    content = places.expect(content_id(sha256), sha256)
                    places.add(content.number, first, first=True, state=State.UNSEEN)
                    for other in others:
                        places.add(content.number, other, first=False, state=State.UNSEEN)
                else:
                    owned.append(Fresh(owner[1].item, sha256, payload))
                    self._table.execute("DELETE FROM known WHERE number = ?", (owner[0],))
                    self.note_stored(owner[0], sha256)
            if owned:
                displaced = [claims_before(fresh, places, gone) for fresh in owned]
                yield note_stored(_encoded(fresh=owned), places, displaced, log=self._work.log)

    def _put_in_order(self) -> None:
        """Make the first item of each new content its first place."""
        query = (
            "SELECT fresh.sha256, fresh.number FROM fresh JOIN known USING (sha256) GROUP BY fresh.sha256 "
            "HAVING min(known.number) < fresh.number OR max(raced)"
        )
        wrong = dict(self._table.execute(query).fetchall())
        owners = self._items(set(wrong.values()))
        for batch in batched(wrong.items(), BATCH):
            payloads = self._work.collection.payloads([content_id(sha256) for sha256, _ in batch])
            changed: dict[str, Payload] = {}
            for sha256, number in batch:
                identity = content_id(sha256)
                if identity in payloads and number in owners:
                    changed[identity] = self._in_order(sha256, number, owners[number], payloads[identity])
            self._work.collection.replace_payloads(list(changed), list(changed.values()))

    def _in_order(self, sha256: str, number: int, owner: Item, stored: Payload) -> Payload:
        """Return the payload of a content with its first item's place and fields, and note that."""
        places = self._work.places
        waiting = self._waiting(sha256)
        items = {number: owner, **{n: known.item for n, known in waiting}}
        first_number = min(items)
        first = items[first_number]
        key = next(places_of(stored)).key
        current = next((item for item in items.values() if place_of(item).key == key), owner)
        details = next((known.details for _, known in waiting if known.details), None) or {}
        of_current = fields_of(current)
        kept = {name: value for name, value in stored.items() if name not in of_current}
        if not first.described and "label" in stored:
            kept["label"] = stored["label"]
        if first_number != number:
            content = places.content(sha256) or places.expect(content_id(sha256), sha256)
            places.remove(claim for claim in places.of_content(content.number) if claim.first)
            places.add(content.number, place_of(first), first=True)
            claims = claims_before(Fresh(first, sha256, {}), places, self._work.gone())
            places.note((claim, State.DISPLACED) for claim in claims if claim.content != content.number)
            self._table.execute("DELETE FROM known WHERE number = ?", (first_number,))
            self.note_stored(first_number, sha256)
            self.add(number, Known(owner, sha256))
        for waits, known in self._waiting(sha256):  # their details stand in the payload now
            self.add(waits, replace(known, details=None))
        return with_places({**details, **kept, **fields_of(first)}, [place_of(first)])

    def _waiting(self, sha256: str) -> list[tuple[int, Known]]:
        rows = self._table.execute("SELECT number, known FROM known WHERE sha256 = ? ORDER BY number", (sha256,))
        return [(number, pickle.loads(known)) for number, known in rows]  # noqa: S301 - our own

    def _items(self, numbers: set[int]) -> dict[int, Item]:
        """Return items by their numbers: the source is listed again, up to the last of them."""
        if not numbers:
            return {}
        share = self._work.share
        items = enumerate(islice(share.items(), max(numbers) + 1 - share.start), share.start)
        return {number: item for number, item in items if number in numbers}

    def _pages(self, query: str, last: Any) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield rows page by page, in the order of the first column; the table may change meanwhile."""
        while page := self._table.execute(query, (last,)).fetchall():
            yield page
            last = page[-1][0]


def _encoded(fresh: Sequence[Fresh] = (), known: Sequence[Known] = ()) -> Encoded:
    """Return a batch of what is stored: the brightness of borders is in the payloads."""
    lit = np.array([each.details.get("border_brightness", 0.0) for each in fresh], np.float32)
    batch = Batch(list(fresh), np.empty(0, np.uint8), {}, list(known), [], [])
    return Encoded(batch, np.empty((0, 0), np.float32), lit)
