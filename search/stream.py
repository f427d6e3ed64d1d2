"""Many queries, answered as they come: what is found first is there while the rest is still read.

In: queries, each yet to be read. Out: blocks of answers; the first ones are small, so that somebody who waits sees them
soon, and the later ones large, which is faster.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from cbir.collection.point import Hit
from cbir.model.errors import ImageError
from cbir.search.options import SearchOptions
from cbir.search.piped import Piped
from cbir.search.query import Query, is_picture, named, terms_of
from cbir.search.searcher import Searcher

#: Queries in the first block, which doubles until there are so many; and bytes of files that a block ends with.
_FIRST, _MOST, _MOST_BYTES = 4, 64, 100_000_000


@dataclass(frozen=True)
class Answered:
    """Some queries with their hits.

    Attributes
    ----------
    queries : sequence of Query
    hits : list of list of Hit
        For each query.
    unreadable : list of (str, ImageError)
        The names of further queries whose pictures cannot be read, and why.
    """

    queries: Sequence[Query]
    hits: list[list[Hit]]
    unreadable: list[tuple[str, ImageError]]


def searched(searcher: Searcher, queries: Sequence[Query], options: SearchOptions) -> Answered:
    """Search several queries as one batch, but for those whose pictures cannot be read."""
    if not queries:
        return Answered([], [], [])
    try:
        return Answered(queries, searcher.search_many(queries, options=options), [])
    except ImageError:
        readable, unreadable = [], []
        for query in queries:
            try:
                for term in terms_of(query):
                    if is_picture(term.query):
                        searcher.pixels(term.query)
                readable.append(query)
            except ImageError as error:
                unreadable.append((named(query), error))
        if not unreadable:
            raise
    return Answered(readable, searcher.search_many(readable, options=options) if readable else [], unreadable)


def stream(
    searcher: Searcher, queries: Iterable[tuple[str, Callable[[], Query]]], options: SearchOptions
) -> Iterator[Answered]:
    """Answer queries block by block.

    Parameters
    ----------
    searcher : Searcher
    queries : iterable of (str, callable)
        The name of each, and what reads it; an ImageError of that says that it cannot be read.
    options : SearchOptions

    Yields
    ------
    Answered
        The queries of a block in their order; those that cannot be read apart from them.
    """
    upcoming, size = iter(queries), _FIRST
    while True:
        read: list[Query] = []
        unreadable: list[tuple[str, ImageError]] = []
        held = 0
        for name, reading in islice(upcoming, size):
            try:
                query = reading()
            except ImageError as error:
                unreadable.append((name, error))
                continue
            read.append(query)
            held += len(query.content) if isinstance(query, Piped) else 0
            if held >= _MOST_BYTES:
                break
        if not read and not unreadable:
            return
        size = min(2 * size, _MOST)
        answered = searched(searcher, read, options)
        yield Answered(answered.queries, answered.hits, unreadable + answered.unreadable)
