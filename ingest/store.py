"""Encoded batches go into a collection, and contents that are stored already get another place.

In: a batch, an open collection, and the table of its places. Out: what was done,
as a result that can be added to others. A batch is durable when `store`
returns: an ingest can be stopped at any moment, nothing stored is lost, and the
next run continues. Therefore nothing is taken away here but places whose file
is gone and turned up elsewhere; the rest is `settle`'s.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from cbir.collection.interface import Collection
from cbir.collection.place import Place, places_of, with_places
from cbir.collection.point import Payload
from cbir.core.uris import shown
from cbir.ingest.claim import Claim, Content, State
from cbir.ingest.described import described, fields_of, new_payload, other_places, place_of
from cbir.ingest.encode import Encoded
from cbir.ingest.gone import Gone
from cbir.ingest.places import Places
from cbir.ingest.read import Failed, Fresh, Known
from cbir.ingest.report import Log, silent_log
from cbir.ingest.sources.source import Item
from cbir.ingest.unreadable import Unreadable

#: Mean, standard deviation and number of values.
Statistics = tuple[float, float, int]
#: Skipped pictures that a result names; the log has all.
MOST_NAMED = 100


@dataclass(frozen=True)
class Stored:
    """What was done with some items.

    Attributes
    ----------
    ingested, updated, unchanged : int
        Points written; points whose payload alone was replaced; items that are stored as they are.
    moved, copies : int
        Items whose content was stored under another place, which is gone; or which is there too.
    conflicting : int
        Of the copies: those with another label than the picture that they are copies of, which keeps its own.
    skipped : int
        Items that cannot be read.
    relabelled, unlabelled : int
        Of the updated ones: unchanged pictures whose label is another one now, or gone, or new; and those that lost it.
    warned : int
        Of the ingested ones: pictures that were read with a warning.
    coloured : int
        Of the ingested ones: pictures in colour that the encoder sees in grey.
    unreadable, warnings : tuple of (uri, reason)
        The first of those that cannot be read, and of those that were read with a warning; reasons name the file.
    background : tuple (mean, standard deviation, count) or None
        Median border brightness of the ingested images, in [0, 1].
    encode_seconds, upsert_seconds : float
        Time waited for pixels and features (averaged ones, if they are smoothed), and for Qdrant.
    """

    ingested: int = 0
    updated: int = 0
    unchanged: int = 0
    moved: int = 0
    copies: int = 0
    conflicting: int = 0
    skipped: int = 0
    relabelled: int = 0
    unlabelled: int = 0
    warned: int = 0
    coloured: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    background: Statistics | None = None
    encode_seconds: float = 0.0
    upsert_seconds: float = 0.0

    @property
    def items(self) -> int:
        """Number of items."""
        return self.ingested + self.updated + self.unchanged + self.moved + self.copies + self.skipped

    def __add__(self, other: "Stored") -> "Stored":
        """Return what was done with the items of both."""
        return Stored(
            self.ingested + other.ingested,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.moved + other.moved,
            self.copies + other.copies,
            self.conflicting + other.conflicting,
            self.skipped + other.skipped,
            self.relabelled + other.relabelled,
            self.unlabelled + other.unlabelled,
            self.warned + other.warned,
            self.coloured + other.coloured,
            (self.unreadable + other.unreadable)[:MOST_NAMED],
            (self.warnings + other.warnings)[:MOST_NAMED],
            merged(self.background, other.background),
            self.encode_seconds + other.encode_seconds,
            self.upsert_seconds + other.upsert_seconds,
        )


def store(
    batch: Encoded,
    collection: Collection,
    places: Places,
    gone: Gone,
    log: Log = silent_log,
    unreadable: Unreadable | None = None,
) -> Stored:
    """Upsert the points of a batch, and replace the payloads of those that are stored already.

    Parameters
    ----------
    batch : Encoded
    collection : Collection
    places : Places
        Notes what is stored from now on.
    gone : Gone
        Knows whether a stored place still has its file.
    log : Log
        Is told of each item that was skipped, read with a warning, or moved.
    unreadable : Unreadable, optional
        Notes files that need not be opened again.
    """
    clock = time.perf_counter()
    done = counted(batch, places, log, unreadable)
    done += _upsert(batch, collection, places, gone, log)
    done += _replace(batch, collection, places, gone, log)
    return replace(done, upsert_seconds=time.perf_counter() - clock)


def counted(batch: Encoded, places: Places, log: Log, unreadable: Unreadable | None) -> Stored:
    """Note what cannot be read, and count that and what its pictures are like."""
    done = Stored(background=_statistics(batch.brightness), coloured=batch.batch.coloured)
    for failed in batch.batch.failed:
        if failed.sha256 is not None:
            places.failed(failed.sha256, failed.problem, _name(failed.item))
        if failed.lasting and unreadable is not None:
            unreadable.note(failed.item, failed.problem)
        done += skipped(failed, log)
    return done


def skipped(failed: Failed, log: Log) -> Stored:
    """Log an item that cannot be read, and count it."""
    log("skipped", source=failed.item.source, uri=failed.item.uri, reason=failed.problem)
    return Stored(skipped=1, unreadable=((failed.item.uri, failed.problem),))


def _upsert(batch: Encoded, collection: Collection, places: Places, gone: Gone, log: Log) -> Stored:
    """Store contents that are new."""
    if not batch.batch.fresh:
        return Stored()
    displaced = [claims_before(each, places, gone) for each in batch.batch.fresh]
    payloads_before = places.payloads(claim for claims in displaced for claim in claims if claim.first)
    before = [next((payloads_before.get(c.id) for c in claims if c.first), None) for claims in displaced]
    replaced = places.replaced(batch.ids)
    collection.upsert(batch.ids, batch.features, new_payloads(batch, before, replaced))
    return note_stored(batch, places, displaced, replaced, log)


def new_payloads(
    batch: Encoded, before: Sequence[Payload | None], replaced: Mapping[str, Payload] = MappingProxyType({})
) -> list[Payload]:
    """Return the payloads of the contents of a batch that are new.

    Parameters
    ----------
    batch : Encoded
    before : sequence of dict or None
        Payload of another content that was at the same place, for each of them.
    replaced : Mapping
        Payloads of damaged points that are stored again, by id.
    """
    payloads = []
    for row, (each, stored, lit) in enumerate(zip(batch.batch.fresh, before, _lit(batch), strict=True)):
        again = replaced.get(each.id)
        details = {**each.details, "border_brightness": lit}
        payload = new_payload(each.item, each.sha256, details, again if stored is None else stored)
        if others := other_places(each.item, again):
            payload = with_places(payload, [place_of(each.item), *others])
        payloads.append(payload if batch.codes is None else {**payload, "code": batch.codes[row]})
    return payloads


def note_stored(
    batch: Encoded,
    places: Places,
    displaced: Sequence[Sequence[Claim]],
    replaced: Mapping[str, Payload] = MappingProxyType({}),
    log: Log = silent_log,
) -> Stored:
    """Note the new contents of a batch, which are stored; `displaced` are the claims to the place of each before."""
    fresh = batch.batch.fresh
    with places.together():
        for each, before, brightness in zip(fresh, displaced, _lit(batch), strict=True):
            if each.sha256 is None:  # an image of a dataset is nobody's copy
                content = places.expect(each.id, None)
            else:
                content = places.content(each.sha256) or places.expect(each.id, each.sha256)
                places.recovered(content)
                places.add(content.number, place_of(each.item), first=True)
                for place in other_places(each.item, replaced.get(each.id)):
                    places.add(content.number, place, first=False, state=State.UNSEEN)
                places.note((claim, State.DISPLACED) for claim in before)
            places.lit([(content, brightness)])
    warnings = []
    for each in fresh:
        if warning := each.details.get("warning"):
            log("warning", source=each.item.source, uri=each.item.uri, reason=warning)
            warnings.append((each.item.uri, f"{each.item.location or each.item.uri}: {warning}"))
    return Stored(ingested=len(fresh), warned=len(warnings), warnings=tuple(warnings[:MOST_NAMED]))


def _lit(batch: Encoded) -> list[float]:
    """Return how light borders are, with as many digits as eight bits have: a payload is read by people too."""
    return [round(float(value), 4) for value in batch.brightness]


def _replace(batch: Encoded, collection: Collection, places: Places, gone: Gone, log: Log) -> Stored:
    """Replace the payloads of contents that are stored already, whose vectors stay."""
    work: list[tuple[Item, Known | None, Content | Claim]] = []
    done = Stored()
    for item in batch.batch.described:
        claim = next((claim for claim in places.at(*item.place) if claim.first and claim.state is State.SURE), None)
        if claim is None:  # this run has given the point another first place meanwhile
            done += Stored(unchanged=1)
        else:
            work.append((item, None, claim))
    for each in batch.batch.known:
        content = places.content(each.sha256, each.item.place)
        if content is None or content.problem is not None:
            done += skipped(same_failure(each, content), log)
        else:
            work.append((each.item, each, content))
    if not work:
        return done
    payloads = collection.payloads(list({target.id for _, _, target in work}))
    changed: dict[str, Payload] = {}
    with places.together():
        for item, known, target in work:
            stored = payloads.get(target.id, {})
            if known is None or isinstance(target, Claim):
                payloads[target.id] = described(stored, fields_of(item), place_of(item))
                before, now = stored.get("label"), payloads[target.id].get("label")
                done += Stored(updated=1, relabelled=before != now, unlabelled=before is not None and now is None)
            else:
                payloads[target.id], what, before = _Step(places, target, stored, known, gone).taken()
                done += what
                if before is not None:
                    log("moved", source=item.source, uri=item.uri, before_source=before.source, before_uri=before.uri)
            if payloads[target.id] != stored:
                changed[target.id] = payloads[target.id]
    collection.replace_payloads(list(changed), list(changed.values()))
    return done


def same_failure(known: Known, content: Content | None) -> Failed:
    """Return a failure in this file's words: its content is that of another file, which could not be read."""
    name = _name(known.item)
    if content is None or content.problem is None:
        return Failed(known.item, f"{name} cannot be read")
    return Failed(known.item, content.problem.replace(content.located or name, name))


def claims_before(fresh: Fresh, places: Places, gone: Gone) -> list[Claim]:
    """Return the claims to the place of a content that is new."""
    return [] if fresh.sha256 is None else _claims(fresh.item, places, gone)


def _claims(item: Item, places: Places, gone: Gone) -> list[Claim]:
    """Return the claims to the places of an item's file."""
    return [claim for place in gone.places_of(item) for claim in places.at(*place)]


def _name(item: Item) -> str:
    """Return what a problem calls an item."""
    return shown(item.location or item.uri)


@dataclass(frozen=True)
class _Step:
    """A stored content was met at a place: touched, moved or copied."""

    places: Places
    content: Content
    stored: Payload
    known: Known
    gone: Gone

    def taken(self) -> tuple[Payload, Stored, Place | None]:
        """Note the place; return the point's payload, what was done, and where a moved file was before."""
        item, places, number = self.known.item, self.places, self.content.number
        place, fields = place_of(item), fields_of(item) if item.described else None
        details = {**(self.known.details or {}), "sha256": self.known.sha256}
        claims = places.of_content(number)
        own = next((claim for claim in claims if self._is_here(claim)), None)
        places.note((c, State.DISPLACED) for c in _claims(item, places, self.gone) if c.content != number)
        if self.known.details is not None:
            places.detailed([number])
        before = own or next((claim for claim in claims if self._is_free(claim)), None)
        if before is None:
            places.add(number, place, first=False, copy=True, described=fields)
            payload = {**self.stored, **details}
            label = self.stored.get("label")
            conflicting = None not in (item.label, label) and item.label != label
            done = Stored(copies=1, conflicting=conflicting)
            return with_places(payload, [*places_of(payload), place]), done, None
        places.remove([before])
        places.add(number, place, first=before.first, copy=before.added, described=None if before.first else fields)
        if before.first:
            payload = described(self.stored, fields, place, details)
        else:
            payload = {**self.stored, **details}
            others = [place if each.key == before.place.key else each for each in places_of(payload)]
            payload = with_places(payload, others)
        if own is not None:  # by checksum, files are read of which nothing has changed
            return payload, Stored(unchanged=1) if payload == self.stored else Stored(updated=1), None
        return payload, Stored(moved=1), before.place

    def _is_here(self, claim: Claim) -> bool:
        """Tell whether a stored place is this very file, of which a list may have had another name."""
        item = self.known.item
        return claim.place.key == place_of(item).key or (
            bool(item.location) and (item.location == self.gone.located(claim.place))
        )

    def _is_free(self, claim: Claim) -> bool:
        """Tell whether a stored place no longer shows its content, so that this one takes its turn."""
        return claim.state is State.DISPLACED or (claim.state is State.UNSEEN and self.gone.is_gone(claim.place))


def merged(one: Statistics | None, other: Statistics | None) -> Statistics | None:
    """Return the statistics of the values of both."""
    if one is None or other is None:
        return one or other
    count = one[2] + other[2]
    mean = sum(each[0] * each[2] for each in (one, other)) / count
    squares = sum((each[1] ** 2 + each[0] ** 2) * each[2] for each in (one, other)) / count
    return mean, math.sqrt(max(0.0, squares - mean**2)), count


def _statistics(values: np.ndarray) -> Statistics | None:
    values = values.astype(np.float64)
    return (float(values.mean()), float(values.std()), len(values)) if len(values) else None
