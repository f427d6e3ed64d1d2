"""Whether a folder is one that a collection already holds, moved to another place.

In: a folder under the name of a root that is gone. Out: yes or no, by the
content of a sample of its pictures: a folder of the same name may be another
one, while the disk with the stored one is not mounted.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import islice

from cbir.collection.errors import CollectionBusyError, CollectionError, UnreadableError
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import Metadata
from cbir.collection.place import COPIES, places_of
from cbir.ingest.roots import known_as
from cbir.ingest.sources.source import Item, Source
from cbir.model.errors import ImageError

#: Stored pictures that a folder is recognized by.
_SAMPLED = 100


def known_in(engine: Engine, name: str, metadata: Metadata, source: Source) -> Source:
    """Return a source under the name that a collection knows it by, or will; see `known_as`.

    Parameters
    ----------
    engine : Engine
    name : str
        The collection's.
    metadata : Metadata
        The collection's.
    source : Source

    Raises
    ------
    CollectionBusyError
        Another process uses the collection, which has to be looked into.
    """
    return known_as(source, metadata, partial(_holds_pictures_of, engine, name))


def _holds_pictures_of(engine: Engine, name: str, source: Source) -> bool:
    """Return whether most pictures that the stored folder and this one could share are the same.

    They could share as many as the smaller of both has: pictures may have been added, removed, or left out by a
    limit. A few pictures may be the same in folders that have nothing else in common.
    """
    (root,) = source.roots
    try:
        with closing(engine.open(name)) as collection:
            points = collection.count(where={"source": [root]})
            stored = dict(islice(_hashes(collection, root), _SAMPLED))
    except (CollectionBusyError, UnreadableError):
        raise  # it may be free a moment later, and a guess would then decide over its points
    except CollectionError:
        return True  # damaged: the error comes when it is opened to be filled, unless it is to be replaced
    items = [item for item in source.items() if item.place in stored]
    same = sum(_has_hash(item, stored[item.place]) for item in items)
    shared = len(stored) * min(1, len(source) / max(1, points))
    return same > max(len(items), shared) / 2


def _hashes(collection: Collection, source: str) -> Iterator[tuple[tuple[str, str], str | None]]:
    """Yield places of a source and their contents' hashes, in the order of the points' ids, which is a random one."""
    for page in collection.scroll(vectors=False, fields=("source", "uri", "sha256", COPIES)):
        for payload in page.payloads:
            for place in places_of(payload):
                if place.source == source:
                    yield place.key, payload.get("sha256")


def _has_hash(item: Item, sha256: str | None) -> bool:
    """Return whether the content of an item's file has this hash."""
    with suppress(ImageError):
        return item.content is not None and hashlib.sha256(item.content()).hexdigest() == sha256
    return False
