"""One collection goes from one home to another: embedded to served, or back.

In: two engines and a name. Out: the points are in both, which is checked
afterwards. What is there already as it is here is not sent again, so a
transfer that was stopped goes on when it is asked for again.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from cbir.collection.interface import (
    Collection,
    CollectionError,
    Engine,
    Metadata,
    Report,
    check_encoder,
    check_smooth,
    holds,
    silent,
)

#: Vectors compared value by value afterwards.
_SAMPLE = 100
_PAGE = 1024


@dataclass(frozen=True)
class Transferred:
    """What a transfer did.

    Attributes
    ----------
    collection : str
    source, target : str
        The homes.
    points : int
        In the source.
    copied, unchanged : int
        Sent now; found there already as they are here.
    more : int
        Points of the target that the source does not have; they stay.
    compared : int
        Vectors compared value by value afterwards.
    """

    collection: str
    source: str
    target: str
    points: int
    copied: int
    unchanged: int
    more: int
    compared: int


def transfer(source: Engine, target: Engine, name: str, report: Report = silent) -> Transferred:
    """Copy a collection; the caller holds the right to fill the target's.

    Parameters
    ----------
    source, target : Engine
    name : str
        The same in both.
    report : callable
        Told points done and points in all.

    Returns
    -------
    Transferred

    Raises
    ------
    CollectionError
        Another encoder or smoothing filled the one in the target, or what arrived is not what was sent.
    """
    with (
        closing(source.open(name)) as here,
        closing(_place(target, name, here.metadata)) as there,
    ):
        there.hold_index()
        total, copied, done = here.count(), 0, 0
        sample: list[str] = []
        generator = np.random.default_rng(0)
        for page in here.scroll(page=_PAGE):
            known = there.payloads(page.ids)
            rows = [row for row, i in enumerate(page.ids) if not holds(known.get(i), page.payloads[row])]
            if rows:
                ids, payloads = [page.ids[row] for row in rows], [page.payloads[row] for row in rows]
                there.upsert(ids, page.vectors[rows], payloads)
            copied += len(rows)
            done += len(page.ids)
            share = max(1, round(_SAMPLE * len(page.ids) / max(total, 1)))
            sample += list(generator.choice(page.ids, min(share, len(page.ids)), replace=False))
            report(done, total)
        there.remember(_joined(there.metadata, here.metadata))
        more = there.count() - done
        if more < 0:
            raise CollectionError(
                f"collection '{name}' has {-more} points fewer in {target.location} than in {source.location}; "
                "type the same again"
            )
        _compare(here, there, sample, name, target.location)
    return Transferred(name, source.location, target.location, done, copied, done - copied, more, len(sample))


def _place(target: Engine, name: str, metadata: Metadata) -> Collection:
    if name not in target.names():
        return target.create(name, metadata)
    there = target.metadata(name)
    check_encoder(name, there, metadata.fingerprint, "the collection to copy")
    check_smooth(name, there, metadata.smooth)
    return target.open(name)


def _joined(there: Metadata, here: Metadata) -> Metadata:
    return replace(
        there,
        sources=tuple(dict.fromkeys((*there.sources, *here.sources))),
        background=there.background or here.background,
        updated=max(there.updated, here.updated),
    )


def _compare(here: Collection, there: Collection, sample: Sequence[str], name: str, location: str) -> None:
    sent, arrived = here.vectors(sample), there.vectors(sample)
    wrong = [i for i in sample if i not in arrived or not np.array_equal(sent[i], arrived[i])]
    if wrong:
        raise CollectionError(
            f"{len(wrong)} of {len(sample)} points of '{name}' differ in {location} (the first: {wrong[0]}); "
            f"delete the collection there and copy it again"
        )
