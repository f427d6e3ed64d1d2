"""`cbir search --batch`: each picture of a folder, an archive or a list is a query, answered as it comes."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import cbir
from cbir.answer import answer
from cbir.cli.output import note, print_json
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cbir.answer import Answer
    from cbir.ingest.sources.source import Item, Source
    from cbir.search.options import SearchOptions
    from cbir.search.query import Query


def search_batch(
    named: str,
    name: str,
    options: SearchOptions,
    prints: Callable[[Answer], None],
    *,
    json_: bool,
    qdrant_url: str | None,
    data_dir: Path | None,
) -> tuple[int, list[str]]:
    """Search for each picture of a source, and print what is found of some of them at a time.

    Parameters
    ----------
    named : str
        The source, as for `cbir ingest`.
    name : str
        The collection's.
    options : SearchOptions
    prints : callable
        Prints the hits of some queries.
    json_ : bool
        Whether to print a document for each picture that cannot be read, too.
    qdrant_url, data_dir
        As for `cbir.open`.

    Returns
    -------
    unread : int
        Pictures that cannot be read, each of which was told.
    missing : list of str
        Where hits' pictures were, and are no more.
    """
    from cbir.cli.terminal import bars
    from cbir.core.progress import silent
    from cbir.ingest.sources.arguments import open_sources
    from cbir.search.stream import stream

    settings = read_settings(data_dir, qdrant_url)
    unread, missing = 0, dict[str, None]()
    with ExitStack() as stack:
        # On a terminal, the lines of the answers say how far it is.
        progress = silent if sys.stdout is not None and sys.stdout.isatty() else stack.enter_context(bars())
        source = open_sources([named], settings.data, settings.cache, progress=progress)
        searcher = stack.enter_context(cbir.open(name, qdrant_url=qdrant_url, data_dir=data_dir, progress=progress))
        allowed = options.filters(searcher.collection)
        done, total = 0, len(source)
        for answered in stream(searcher, _queries(source), options):
            if answered.queries:
                made = answer(searcher, answered.queries, answered.hits, allowed)
                missing.update(dict.fromkeys(made.missing))
                prints(made)
            for picture, error in answered.unreadable:
                note(f"skipped: {error}")
                if json_:
                    print_json({"collection": name, "image": picture, "error": str(error)}, indent=None)
                unread += 1
            done += len(answered.queries) + len(answered.unreadable)
            progress("search", done, total)
    return unread, list(missing)


def print_lines(made: Answer) -> None:
    """Print each query with its hits as a JSON document in one line."""
    for each in made.document["queries"]:
        print_json({"collection": made.name, **each}, indent=None)


def _queries(source: Source) -> Iterator[tuple[str, Callable[[], Query]]]:
    for item in source.items():
        yield item.location or item.uri, partial(_query, item)


def _query(item: Item) -> Query:
    """Return a picture as a query: of a file its content, which is read once; of a dataset its uri."""
    from cbir.search.piped import Piped

    return item.uri if item.content is None else Piped(item.location or item.uri, item.content())
