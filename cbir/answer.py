"""What `cbir search` prints of the hits, as text and numbers: made here, or by a running `cbir serve` that was asked.

In: a searcher, queries and their hits. Out: a dataclass, which a server can send as JSON. Asking a server imports
neither NumPy nor Pillow: Python starts in less time than they take.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cbir.core.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cbir.collection.filter import Filter
    from cbir.collection.metadata import Metadata
    from cbir.collection.point import Hit
    from cbir.core.settings import Settings
    from cbir.search.options import SearchOptions
    from cbir.search.query import Query
    from cbir.search.searcher import Searcher

#: A hit as a row of a table: rank, distance, label, where its picture is.
Row = tuple[int, str, "int | str", str]


@dataclass(frozen=True)
class Answer:
    """The hits of several queries, as they are printed.

    Attributes
    ----------
    name : str
        The collection's.
    document : dict
        As `cbir.documents.search` makes it.
    titles : list of str
        Of the queries.
    rows : list of list of Row
        For each query.
    places : list of str
        Where the hits' pictures are.
    missing : list of str
        Of them, those that are gone.
    fewest : int
        Hits of the query that has the fewest.
    """

    name: str
    document: dict[str, Any]
    titles: list[str]
    rows: list[list[Row]]
    places: list[str]
    missing: list[str]
    fewest: int


def answer(
    searcher: Searcher, queries: Sequence[Query], found: Sequence[Sequence[Hit]], allowed: Filter | None
) -> Answer:
    """Return hits as they are printed; of a hit's places, those that a filter allows come first."""
    from cbir import documents
    from cbir.search.missing import is_missing
    from cbir.search.terms import title

    metadata = searcher.metadata
    roots = metadata.roots.values()
    located = [[_located(hit, metadata, allowed) for hit in hits] for hits in found]
    places = [hit_places[0] for each in located for hit_places in each]
    rows: list[list[Row]] = [
        [
            (rank, f"{hit.distance:.4f}", "" if hit.label is None else hit.label, _shown(where, metadata))
            for rank, (hit, where) in enumerate(zip(hits, each, strict=True), 1)
        ]
        for hits, each in zip(found, located, strict=True)
    ]
    return Answer(
        name=searcher.name,
        document=documents.search(searcher.name, metadata, queries, found),
        titles=[title(query) for query in queries],
        rows=rows,
        places=places,
        missing=[place for place in dict.fromkeys(places) if is_missing(place, roots)],
        fewest=min(map(len, found), default=0),
    )


def _located(hit: Hit, metadata: Metadata, allowed: Filter | None) -> list[str]:
    """Return where a hit's picture is; a place whose file is there comes first, then one that a filter allows."""
    from cbir.search.missing import present_first
    from cbir.search.places import located_places

    return present_first(located_places(hit.payload, metadata, allowed), metadata.roots.values())


def _shown(places: Sequence[str], metadata: Metadata) -> str:
    """Return where a hit's picture is, and how many copies there are."""
    from cbir.search.missing import is_missing

    place, *copies = places
    gone = " (gone)" if is_missing(place, metadata.roots.values()) else ""
    return f"{place}{gone} (+{counted(len(copies), 'copy', 'copies')})" if copies else f"{place}{gone}"


def to_json(made: Answer) -> dict[str, Any]:
    """Return an answer as JSON values."""
    return asdict(made)


def asked_of_server(settings: Settings, name: str, arguments: Sequence[str], options: SearchOptions) -> Answer | None:
    """Have a running `cbir serve` that lends the collections of a home search, and return its answer.

    None if there is none, if it would have to read what is only here, and whenever something is odd about the answer,
    a warning or an error: whoever asked then searches itself, and says so.

    Parameters
    ----------
    settings : Settings
    name : str
        The collection's.
    arguments : sequence of str
        The queries, as they were typed.
    options : SearchOptions
    """
    from contextlib import closing

    from cbir.collection.lent.line import Line
    from cbir.core.errors import CbirError

    sent = None if settings.qdrant_url is not None else _for_others(arguments, words=options.text)
    if sent is None:
        return None
    try:
        line = Line.to(settings.collections, name)
        if line is None:
            return None
        with closing(line):
            found, _ = line.ask("search", name=name, **asdict(sent), options=asdict(options))
    except (CbirError, OSError):
        return None
    return None if found is None else Answer(**found)


@dataclass(frozen=True)
class _Sent:
    """Queries as another process reads them: `typed` are the files' names here, by their absolute paths."""

    arguments: list[str]
    typed: dict[str, str]


def _for_others(arguments: Sequence[str], *, words: bool) -> _Sent | None:
    """Return queries as another process reads them as this one does; None if some is only here, as what is piped."""
    if words:
        return _Sent(list(arguments), {})
    sent = _Sent([], {})
    operator = True  # nothing, or one, stands before: another `-` is standard input, or wrong
    for argument in arguments:
        if argument in ("+", "-"):
            if operator:
                return None
            operator = True
            sent.arguments.append(argument)
            continue
        operator = False
        weight, colon, term = argument.partition(":")
        if os.path.lexists(argument) or not _is_number(weight):
            weight, colon, term = "", "", argument
        if os.path.isfile(term):  # noqa: PTH113
            path = os.path.abspath(term)  # noqa: PTH100 - as text
            if sent.typed.setdefault(path, term) != term:
                return None
            term = path
        elif os.path.lexists(term):
            return None
        sent.arguments.append(f"{weight}{colon}{term}")
    return None if operator else sent


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def search_for_others(
    searcher: Searcher, arguments: Sequence[str], typed: Mapping[str, str], options: dict[str, Any]
) -> dict[str, Any] | None:
    """Search as `asked_of_server` asks; None if something is odd about the hits, so that whoever asked finds out."""
    from cbir.ingest.sources.catalogue import NAMES
    from cbir.search.options import SearchOptions
    from cbir.search.query import terms_of

    chosen = SearchOptions(**options)
    if _for_others(arguments, words=chosen.text) is None:
        return None
    queries = searcher.parse(arguments, text=chosen.text, datasets=NAMES)
    pictures = [term.query for query in queries for term in terms_of(query) if isinstance(term.query, str)]
    if not all(path in typed or path.partition(":")[0] in NAMES for path in pictures):  # a file of this folder
        return None
    found = searcher.search_many(queries, options=chosen)
    if not all(found):
        return None
    named = [_as_typed(query, typed) for query in queries]
    made = answer(searcher, named, found, chosen.filters(searcher.collection))
    return None if made.missing else to_json(made)


def _as_typed(query: Query, typed: Mapping[str, str]) -> Query:
    """Return a query whose files have the names that they were typed by."""
    from cbir.search.query import Combination, Term

    if isinstance(query, Combination):
        return Combination([Term(weight, _as_typed(term, typed)) for weight, term in query.terms])  # type: ignore[arg-type]
    return typed.get(query, query) if isinstance(query, str) else query
