"""Queries that are not part of the database: finding the same picture again is not recognition.

In: held-out pictures and a collection. Out: those whose picture is not stored. The same file is found by its content's
hash, whatever it is called; another file of the same pixels, such as a lossless copy in another format, by a stored
feature that is near, and then the decoded pixels decide. So a query is opened once, and of the database only what is
as good as equal to a query. A copy that was scaled or compressed again is another picture.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from cbir.collection.interface import Collection
from cbir.core.errors import CbirWarning
from cbir.core.workers import batched, ordered_map
from cbir.evaluate.database import Database
from cbir.evaluate.ranking import near
from cbir.evaluate.twins import CLOSE, content_digests, stored_digests
from cbir.ingest.described import id_of
from cbir.ingest.sources.source import Item, SourceError
from cbir.model.errors import ImageError
from cbir.search.searcher import Searcher

#: Ids in a request, and files that a thread hashes at once.
_MOST_IDS, _HASHED = 1_000, 16


def unstored(queries: Sequence[Item], collection: Collection) -> list[Item]:
    """Leave out the queries whose file is stored, with a warning that says how many.

    Parameters
    ----------
    queries : sequence of Item
    collection : Collection
        Asked for the queries' contents; nothing of it is opened.

    Returns
    -------
    list of Item
        Queries that cannot be read are among them.

    Raises
    ------
    SourceError
        If none is left.
    """
    there = np.zeros(len(queries), bool)
    ids = list(_ids(queries))
    for numbers in batched(range(len(ids)), _MOST_IDS):
        known = collection.payloads([one for one in (ids[number] for number in numbers) if one is not None])
        there[numbers] = [ids[number] in known for number in numbers]
    _tell(there)
    return [query for query, stored in zip(queries, there, strict=True) if not stored]


def unlike_stored(
    searcher: Searcher, database: Database, features: np.ndarray, openers: Sequence[Callable[[], Image.Image]]
) -> np.ndarray:
    """Return the numbers of the queries, (k,) int, that do not show the same as a stored picture.

    Parameters
    ----------
    searcher : Searcher
        A collection that averages features with their neighbours (`smooth`) has none that are near a copy's.
    database : Database
        Its points.
    features : ndarray of float32, shape (m, d)
        The queries'.
    openers : sequence of callable
        Open the queries' pictures.

    Raises
    ------
    SourceError
        If none is left.
    """
    there = np.zeros(len(features), bool)
    doubtful, close = np.zeros(len(features), bool), np.zeros(len(database), bool)
    for numbers, rows in near(features, database.features, CLOSE):
        doubtful[numbers] = close[rows] = True
    if doubtful.any():
        stored = set(stored_digests(searcher, database.ids[close])) - {None}
        asked = content_digests(openers[number] for number in np.flatnonzero(doubtful).tolist())
        there[doubtful] = [digest in stored for digest in asked]
    _tell(there)
    return np.flatnonzero(~there)


def _tell(there: np.ndarray) -> None:
    """Say how many queries are stored."""
    if there.any() and there.all():
        raise SourceError(f"all {len(there):,} queries are in the database too: hold out other pictures")
    if there.any():
        left_out = f"{there.sum():,} of {len(there):,} queries are in the database too: left out"
        warnings.warn(left_out, CbirWarning, stacklevel=3)


def _ids(queries: Sequence[Item]) -> Iterator[str | None]:
    """Yield the id that the point of each query's content has, if it is stored; None of what cannot be read."""
    for batch in ordered_map(lambda some: [_id(query) for query in some], batched(queries, _HASHED)):
        yield from batch


def _id(query: Item) -> str | None:
    try:
        return id_of(query, None if query.content is None else hashlib.sha256(query.content()).hexdigest())
    except ImageError:
        return None
