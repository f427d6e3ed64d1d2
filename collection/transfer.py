"""A copy of a collection in another engine: from this machine to a server, or back.

In: two engines and a name. Out: the points are in both, which is checked
afterwards. Points that the target has already are not sent again, so a transfer
that was stopped continues when it is repeated.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import chain

import numpy as np

from cbir.collection.checks import check_smooth
from cbir.collection.errors import CollectionError
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import Metadata
from cbir.collection.point import same_payload
from cbir.collection.verify import sound_pages
from cbir.core.progress import Progress, silent
from cbir.core.words import counted

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
        Where it was copied from and to.
    points : int
        In the source.
    copied, unchanged : int
        Sent now; equal in the target already.
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


def transfer(
    source: Engine, target: Engine, name: str, progress: Progress = silent, *, index: bool | None = None
) -> Transferred:
    """Copy a collection; the caller has locked the target's for filling.

    Parameters
    ----------
    source, target : Engine
    name : str
        The same in both.
    progress : Progress
        Stage `copy`.
    index : bool, optional
        False: build no index as points come; `cbir.collection.indexing` builds it afterwards.

    Returns
    -------
    Transferred

    Raises
    ------
    CollectionError
        The target's collection was filled by another encoder, smoothed otherwise, or from another folder of the
        same name; or what arrived is not what was sent.
    """
    with (
        closing(source.open(name)) as sent,
        closing(_open_target(target, name, sent.metadata)) as received,
    ):
        _check_roots(name, sent, received, target.location)
        # First of all, so that a process that is killed does not leave points of a source that nobody knows.
        received.remember(_merged(received.metadata, sent.metadata))
        received.pause_indexing(entirely=index is False)
        total, before, copied, new, done = sent.count(), received.count(), 0, 0, 0
        sample = _Sample(_SAMPLE)
        for page in sound_pages(sent, _PAGE):
            stored = received.payloads(page.ids)
            rows = [row for row, i in enumerate(page.ids) if not same_payload(stored.get(i), page.payloads[row])]
            if rows:
                ids, payloads = [page.ids[row] for row in rows], [page.payloads[row] for row in rows]
                received.upsert(ids, page.vectors[rows], payloads)
            copied += len(rows)
            new += sum(i not in stored for i in page.ids)
            done += len(page.ids)
            sample.add(page.ids)
            progress("copy", done, total)
        there = received.count()
        # Not only as many as were sent: the target may have others too.
        lost = before + new - there
        if lost > 0:
            raise CollectionError(
                f"{counted(lost, 'point')} of '{name}' did not arrive in {target.location}; "
                "run the same command again to copy them"
            )
        _compare(sent, received, sample.ids, name, target.location)
    return Transferred(
        name, source.location, target.location, done, copied, done - copied, there - done, len(sample.ids)
    )


class _Sample:
    """At most `most` of any number of ids, each with the same chance: those with the least random numbers."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._generator = np.random.default_rng(0)
        self._drawn: list[tuple[float, str]] = []

    def add(self, ids: Sequence[str]) -> None:
        """Draw from more ids."""
        numbered = zip(self._generator.random(len(ids)).tolist(), ids, strict=True)
        self._drawn = nsmallest(self._most, chain(self._drawn, numbered))

    @property
    def ids(self) -> list[str]:
        """Those that are drawn."""
        return [one for _, one in self._drawn]


def _open_target(target: Engine, name: str, metadata: Metadata) -> Collection:
    """Open the target's collection of this name, or make it."""
    if not target.exists(name):
        return target.create(name, metadata)
    existing = target.metadata(name)
    if existing.fingerprint != metadata.fingerprint:
        raise CollectionError(
            f"collection '{name}' in {target.location} was filled by encoder {existing.fingerprint} "
            f"(model '{existing.model}'), the one to copy by {metadata.fingerprint} (model '{metadata.model}'); "
            "remove it there, or ingest into a collection of another name, and copy that"
        )
    check_smooth(name, existing, metadata.smooth)
    return target.open(name)


def _check_roots(name: str, sent: Collection, received: Collection, location: str) -> None:
    """Refuse to mix two folders of one name: their points have the same ids, and one would replace the other's.

    A folder whose path differs has moved if one of its pictures, of a sample, is stored with the same content.
    """
    there = received.metadata.roots
    for source, path in sent.metadata.roots.items():
        if there.get(source, path) == path or not received.count(where={"source": [source]}):
            continue
        if not _share_content(sent, received, source):
            raise CollectionError(
                f"collection '{name}' in {location} holds another folder named {source} ({there[source]}, not {path}); "
                "rename one of the folders, and ingest it into a collection of another name (--collection)"
            )


def _share_content(sent: Collection, received: Collection, source: str) -> bool:
    """Tell whether some of a source's points have files of the same content in both collections."""
    seen = 0
    for page in sent.scroll(vectors=False, fields=("source", "sha256"), page=_PAGE):
        hashes = {i: p.get("sha256") for i, p in zip(page.ids, page.payloads, strict=True) if p.get("source") == source}
        stored = received.payloads(list(hashes))
        if any(value is not None and stored.get(i, {}).get("sha256") == value for i, value in hashes.items()):
            return True
        seen += len(hashes)
        if seen >= _SAMPLE:
            break
    return False


def _merged(received: Metadata, sent: Metadata) -> Metadata:
    """Return the target's metadata with what the sent points need."""
    return replace(
        received,
        sources=tuple(dict.fromkeys((*received.sources, *sent.sources))),
        roots={**received.roots, **sent.roots},
        choices={**received.choices, **sent.choices},
        extra={**received.extra, **sent.extra},
        background=received.background or sent.background,
        updated=max(received.updated, sent.updated),
    )


def _compare(sent: Collection, received: Collection, sample: Sequence[str], name: str, location: str) -> None:
    """Compare the vectors of some points in both collections."""
    expected, arrived = sent.vectors(sample), received.vectors(sample)
    wrong = [i for i in sample if i not in arrived or not np.array_equal(expected[i], arrived[i])]
    if wrong:
        raise CollectionError(
            f"{len(wrong)} of {len(sample)} points of '{name}' differ in {location} (the first: {wrong[0]}); "
            f"delete the collection there and copy it again"
        )
