"""What is no longer so is taken off the stored points, once everything new is stored.

In: the table of places after an ingest has noted all it saw. Out: each place is
claimed by the one content that it shows; a point without a place is removed; a
content is one point. Each step may be the last one of a process that is killed:
what is left over is found by the next ingest.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from cbir.collection.interface import Collection
from cbir.collection.place import Place, places_of, with_places
from cbir.collection.point import Payload
from cbir.core.errors import warn_caller
from cbir.core.objects import is_object
from cbir.core.workers import batched
from cbir.ingest.claim import Claim, State
from cbir.ingest.described import described, foreign
from cbir.ingest.gone import Gone
from cbir.ingest.places import Places
from cbir.ingest.report import Log
from cbir.ingest.sources.source import Source

#: Contents looked at once.
_BATCH = 256
#: So few places may be gone at once, even if that is half of a root.
_FEW = 10


@dataclass(frozen=True)
class Settled:
    """What was taken off.

    Attributes
    ----------
    moved : int
        Items that first looked like copies: the content's other place turned out to show another content.
    gone : int
        Stored places without a file, that were left alone.
    unchosen : int
        Stored places whose file is left out now, that were left alone.
    pruned : int
        Those that were taken off their points.
    """

    moved: int = 0
    gone: int = 0
    unchosen: int = 0
    pruned: int = 0


def settle(collection: Collection, places: Places) -> Settled:
    """Take places that show other contents off their points, and make one point of each content."""
    moved = _take_off(collection, places, State.DISPLACED)
    for batch in batched(places.same(), _BATCH):
        for numbers in batch:
            _merge(collection, places, numbers)
    return Settled(moved=moved)


def prune(
    collection: Collection, places: Places, gone: Gone, source: Source, log: Log, *, wanted: bool, force: bool
) -> Settled:
    """Count stored places that are gone, and take them off their points where that is wanted.

    Parameters
    ----------
    collection : Collection
    places : Places
    gone : Gone
    source : Source
    log : Log
        Is told of each place.
    wanted : bool
        Take them off, unless it looks as if a disk was not mounted.
    force : bool
        Even then.
    """
    done = Settled()
    for name in gone.names if gone.complete else ():
        missing = sum(1 for _ in _missing(places, gone, name))
        if not missing:
            continue
        unchosen = sum(gone.is_left_out(name, uri) for _, uri in _missing(places, gone, name))
        root = source.roots.get(name)
        reason = suspicious(root, missing - unchosen, unchosen, places.stored_places(name), source.count(name))
        pruned = wanted and (force or not reason)
        if wanted and not pruned:
            warn_caller(f"nothing of {root or name} was pruned: {reason}. If that is right, add --force")
        for batch in batched(_missing(places, gone, name), 1000):
            for _, uri in batch:
                kept = "unchosen" if unchosen and gone.is_left_out(name, uri) else "gone"
                log("pruned" if pruned else kept, source=name, uri=uri)
            if pruned:
                places.drop(number for number, _ in batch)
        if pruned:
            done = replace(done, pruned=done.pruned + missing)
        else:
            done = replace(done, gone=done.gone + missing - unchosen, unchosen=done.unchosen + unchosen)
    _take_off(collection, places, State.DROPPED)
    return done


def _missing(places: Places, gone: Gone, name: str) -> Iterator[tuple[int, str]]:
    return ((number, uri) for number, uri in places.unseen(name) if not gone.is_unclear(name, uri))


def suspicious(root: str | None, gone: int, unchosen: int, stored: int, listed: int) -> str:
    """Return why so much may be missing by mistake, or because a disk is not there; empty if it does not look so."""
    if root is not None and not is_object(root) and not os.path.exists(root):  # noqa: PTH110 - never raises
        return f"{root} does not exist"
    if not listed and not unchosen:
        return "it holds no pictures at all"
    if gone > _FEW and 2 * gone >= stored:
        return f"{gone:,} of {stored:,} stored pictures are gone, so that a disk may not be mounted"
    if not listed or (unchosen > _FEW and 2 * (gone + unchosen) >= stored):
        return f"{unchosen:,} of {stored:,} stored pictures are there, and left out now"
    return ""


def _take_off(collection: Collection, places: Places, state: State) -> int:
    """Take places in a state off their points; return how many had another place added by this ingest."""
    moved = 0
    for batch in batched(places.with_state(state), _BATCH):
        found = [places.of_content(content) for content in batch]
        payloads = collection.payloads([claims[0].id for claims in found])
        changed: dict[str, Payload] = {}
        empty: list[Claim] = []
        for claims in found:
            staying = [claim for claim in claims if claim.state is not state]
            if not staying:
                empty.append(claims[0])
                continue
            dropped = {claim.place.key for claim in claims if claim.state is state}
            moved += min(len(dropped), sum(claim.added for claim in staying))
            if (stored := payloads.get(claims[0].id)) is not None:
                changed[claims[0].id] = _without(stored, dropped, staying, places)
        collection.replace_payloads(list(changed), list(changed.values()))
        collection.delete([claim.id for claim in empty])
        places.remove(claim for claims in found for claim in claims if claim.state is state)
        for claim in empty:
            places.remove_content(claim.content)
    return moved


def _without(stored: Payload, dropped: set[tuple[str, str]], staying: list[Claim], places: Places) -> Payload:
    """Return a payload without some places; if its first place is one of them, another one takes its turn."""
    left: list[Place] = [place for place in places_of(stored) if place.key not in dropped]
    if staying[0].first or not left:
        return with_places(stored, left or [staying[0].place])
    heir = min(staying, key=lambda claim: claim.state is not State.SURE)  # a place that was seen, if there is one
    rest = [place for place in left if place.key != heir.place.key]
    places.promote(heir)
    return described(with_places(stored, [heir.place, *rest]), places.described(heir), heir.place)


def _merge(collection: Collection, places: Places, numbers: Iterable[int]) -> None:
    """Make one point of several with the same content, which an old cbir stored one for each file."""
    found = [claims for number in numbers if (claims := places.of_content(number))]
    found.sort(key=lambda claims: claims[0].state is not State.SURE)
    if len(found) < 2:
        return
    kept, *others = found
    payloads = collection.payloads([claims[0].id for claims in found])
    if kept[0].id not in payloads:
        return
    merged = payloads[kept[0].id]
    everywhere = {place.key: place for place in places_of(merged)}
    for claims in others:
        merged = {**foreign(payloads.get(claims[0].id, {})), **merged}
        everywhere = {**{claim.place.key: claim.place for claim in claims}, **everywhere}
    first = next(places_of(merged))
    copies = [place for place in everywhere.values() if place.key != first.key]
    collection.replace_payloads([kept[0].id], [with_places(merged, [first, *copies])])
    collection.delete([claims[0].id for claims in others])
    for claims in others:
        places.hand_over(claims, kept[0].content)
