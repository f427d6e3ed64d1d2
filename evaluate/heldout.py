"""Queries that are no part of the database, told by content: a picture found again is no picture recognised.

In: held-out items and those stored. Out: the queries whose picture is not
stored too. What counts are decoded pixels, so that a copy of another name or
another lossless format is found; a copy scaled or compressed anew is not.
"""

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

from cbir.collection.interface import Collection
from cbir.core.errors import CbirWarning
from cbir.core.settings import Settings
from cbir.evaluate.run import Run
from cbir.ingest.sources.catalogue import NAMES, open_source
from cbir.ingest.sources.source import Item, Source, SourceError
from cbir.model.errors import ImageError
from cbir.model.registry import encoders
from cbir.search.searcher import Searcher

#: Items a thread takes at once: a dataset's hash takes less time than handing it over.
_BATCH = 256
#: Modes of more than eight bits a value, which RGBA would clip.
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def held_out_queries(searcher: Searcher, settings: Settings) -> list[Item]:
    """Return the images that the sources of a collection hold back, without those that it holds too."""
    sources = _sources(searcher.metadata.sources, settings)
    stored = [item for source in sources for item in source.items()]
    queries = disjoint([query for source in sources for query in source.queries()], stored)
    if queries and (gone := left_behind(searcher.collection, stored)):
        message = (
            f"collection '{searcher.name}' holds {gone:,} picture(s) that its sources no longer have; those that are "
            "queries now find themselves: build it anew with cbir ingest SOURCE --retrain"
        )
        warnings.warn(message, CbirWarning, stacklevel=2)
    return queries


def warn_of_leakage(searcher: Searcher, run: Run) -> None:
    """Say what makes a run's scores better than a search would be, where stored images are its queries."""
    if not run.about.get("leave_one_out"):
        return
    if searcher.bundle.kind in [kind.name for kind in encoders() if kind.learns_from == "labels"]:
        told = f"encoder '{searcher.bundle.kind}' learned the labels of the very images that are the queries"
    elif searcher.metadata.smooth:
        told = "the stored features are averages with neighbours, the queries among them"
    else:
        return
    message = f"{told}: scores are too good; hold some images out, in folders database and queries"
    warnings.warn(message, CbirWarning, stacklevel=3)


def disjoint(queries: Sequence[Item], database: Iterable[Item]) -> list[Item]:
    """Leave out the queries whose picture is in the database, with a warning that says how many.

    Parameters
    ----------
    queries : sequence of Item
    database : iterable of Item
        Not looked at if there are no queries.

    Returns
    -------
    list of Item
        Queries that cannot be read are among them.

    Raises
    ------
    SourceError
        If none is left.
    """
    if not queries:
        return []
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        asked = list(chain.from_iterable(pool.map(_digests, _batches(queries))))
        stored = set(chain.from_iterable(pool.map(_digests, _batches(database)))) - {None}
    kept = [query for query, digest in zip(queries, asked, strict=True) if digest not in stored]
    if not kept:
        raise SourceError(f"all of the {len(queries):,} queries are in the database too: hold other pictures out")
    if len(kept) < len(queries):
        left_out = f"{len(queries) - len(kept):,} of {len(queries):,} queries are in the database too: left out"
        warnings.warn(left_out, CbirWarning, stacklevel=2)
    return kept


def left_behind(collection: Collection, items: Iterable[Item]) -> int:
    """Count the points whose picture the sources no longer have: `disjoint` cannot look at those."""
    here = {item.id for item in items}
    return sum(point not in here for page in collection.scroll(vectors=False) for point in page.ids)


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    upcoming = iter(items)
    while batch := list(islice(upcoming, _BATCH)):
        yield batch


def _digests(items: Iterable[Item]) -> list[bytes | None]:
    return [_digest(item) for item in items]


def _digest(item: Item) -> bytes | None:
    """Hash size and pixels, however they are stored; None for a picture that cannot be read."""
    try:
        picture = item.open()
    except ImageError:
        return None
    if picture.mode not in _DEEP:
        picture = picture.convert("RGBA")
    return hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).digest()


def _sources(names: Iterable[str], settings: Settings) -> list[Source]:
    """Open a collection's sources; a folder that is gone by now holds nothing back."""
    opened = []
    for name in names:
        try:
            opened.append(open_source(name, settings.data, settings.cache))
        except SourceError:
            if name in NAMES:
                raise
    return opened
