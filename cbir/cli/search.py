"""`cbir search`: the stored images that look most like each query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.options import options_from
from cbir.cli.output import note, print_json, print_paths
from cbir.cli.parameters import (
    AsJson,
    Collection,
    DataDir,
    Null,
    Paths,
    QdrantUrl,
    Where,
    Within,
    collection_or_default,
    conditions,
)
from cbir.core.disk import require_folder_of
from cbir.core.options import OptionError
from cbir.core.progress import Progress
from cbir.core.words import counted
from cbir.ingest.sources.catalogue import NAMES
from cbir.model.errors import ImageError
from cbir.search.missing import is_missing, present_first
from cbir.search.options import SearchOptions
from cbir.search.places import located_places
from cbir.search.query import is_picture, terms_of
from cbir.search.terms import title

if TYPE_CHECKING:
    from cbir.collection.filter import Filter
    from cbir.collection.metadata import Metadata
    from cbir.collection.point import Hit
    from cbir.search.query import Query
    from cbir.search.searcher import Searcher


@options_from(SearchOptions)
def search(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="QUERY...",
            help="Picture files, uris such as mnist:test/7, or words; combined: cat.jpg + 2:'on a sofa' - dog.jpg.",
        ),
    ],
    *,
    collection: Collection = None,
    label: Annotated[list[str] | None, typer.Option(help="Only images with this label; repeatable.")] = None,
    where: Where = None,
    within: Within = None,
    options: SearchOptions,
    save: Annotated[
        Path | None, typer.Option(help="Write queries and hits side by side into this picture file.")
    ] = None,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
    paths: Paths = False,
    null: Null = False,
    json_: AsJson = False,
) -> None:
    """Find the stored images that look most like each query, or that words describe."""
    if json_ and (paths or null):
        raise OptionError("--json prints paths as well; give either --json, or --paths or -0")
    if save is not None:
        require_folder_of(save)
    name = collection_or_default(collection, qdrant_url)
    with (
        _bars_if_needed() as progress,
        cbir.open(name, qdrant_url=qdrant_url, data_dir=data_dir, progress=progress) as searcher,
    ):
        asked = searcher.parse(arguments, text=options.text, datasets=NAMES)
        options = replace(options, labels=_labels(label), where=conditions(where, within))
        queries, found = _searched(searcher, asked, options)
        allowed = options.filters(searcher.collection)
        if not any(found):
            from cbir.search.nothing import why_nothing

            for reason in why_nothing(searcher, queries, options):
                note(reason)
    if save is not None:
        from cbir.search.sheet import ENOUGH, save_picture
        from cbir.search.shown import shown
        from cbir.search.strip import strip

        open_query, open_hit = (partial(way, enough=ENOUGH) for way in (searcher.open_picture, searcher.open_stored))
        drawn, missing = strip([shown(query, open_query) for query in queries], found, open_hit)
        if missing:
            note(f"not every hit can be shown: {missing}")
        note(f"picture: {save_picture(drawn, save)}")
    if any(found) and options.prune is not None and min(map(len, found)) < options.k:
        limited = " that pass" if label or options.where else ""
        note(f"fewer than {options.k} images{limited} are within {options.prune} bits")
    missing_files = _missing(found, searcher.metadata, allowed)
    if missing_files:
        note(_said_of_missing(missing_files))
    if json_:
        print_json(documents.search(name, searcher.metadata, queries, found))
    elif paths or null:
        places = (_located(hit, searcher.metadata, allowed)[0] for hits in found for hit in hits)
        print_paths((place for place in places if place not in missing_files), null=null)
    else:
        _print_hits(searcher, queries, found, allowed)
    if len(queries) < len(asked):
        raise typer.Exit(1)


def _searched(
    searcher: Searcher, queries: Sequence[Query], options: SearchOptions
) -> tuple[Sequence[Query], list[list[Hit]]]:
    """Search several queries but for those that cannot be read, which are told; return them without those."""
    try:
        return queries, searcher.search_many(queries, options=options)
    except ImageError:
        if len(queries) == 1:
            raise
    readable, errors = [], []
    for query in queries:
        try:
            for term in terms_of(query):
                if is_picture(term.query):
                    searcher.pixels(term.query)
            readable.append(query)
        except ImageError as error:
            errors.append(error)
    if not readable:
        raise errors[0]
    for reason in errors:
        note(f"skipped: {reason}")
    return readable, searcher.search_many(readable, options=options)


@contextmanager
def _bars_if_needed() -> Iterator[Progress]:
    """Yield a progress function that loads what draws bars when it is first called: most searches download nothing."""
    with ExitStack() as drawing:
        drawn: list[Progress] = []

        def report(stage: str, done: int, total: int | None, note: str = "") -> None:
            if not drawn:
                from cbir.cli.terminal import bars

                drawn.append(drawing.enter_context(bars()))
            drawn[0](stage, done, total, note)

        yield report


def _print_hits(
    searcher: Searcher, queries: Sequence[Query], found: Sequence[Sequence[Hit]], allowed: Filter | None
) -> None:
    """Print a table of hits for each query."""
    from cbir.cli.terminal import table

    columns = [("rank", True), ("distance", True), ("label", False), ("image", False)]
    for query, hits in zip(queries, found, strict=True):
        rows = [
            (
                rank,
                f"{hit.distance:.4f}",
                "" if hit.label is None else hit.label,
                _places(hit, searcher.metadata, allowed),
            )
            for rank, hit in enumerate(hits, 1)
        ]
        table(f"{title(query)} in {searcher.name}", columns, rows)


def _places(hit: Hit, metadata: Metadata, allowed: Filter | None) -> str:
    """Return where a hit's picture is, and how many copies there are; a place that a filter allows comes first."""
    place, *copies = _located(hit, metadata, allowed)
    gone = " (gone)" if is_missing(place, metadata.roots.values()) else ""
    return f"{place}{gone} (+{counted(len(copies), 'copy', 'copies')})" if copies else f"{place}{gone}"


def _located(hit: Hit, metadata: Metadata, allowed: Filter | None) -> list[str]:
    """Return where a hit's picture is; a place whose file is there comes first, then one that a filter allows."""
    return present_first(located_places(hit.payload, metadata, allowed), metadata.roots.values())


def _missing(found: Sequence[Sequence[Hit]], metadata: Metadata, allowed: Filter | None) -> list[str]:
    """Return where hits' files were that are not there any more, nor any copy of them; each once."""
    places = (_located(hit, metadata, allowed)[0] for hits in found for hit in hits)
    return [place for place in dict.fromkeys(places) if is_missing(place, metadata.roots.values())]


def _said_of_missing(places: Sequence[str]) -> str:
    found = counted(len(places), "picture was", "pictures were")
    first = f"{places[0]}{', ...' if len(places) > 1 else ''}"
    return (
        f"{found} found whose files are gone: {first}. Ingest the folder again with --prune to take out what is gone."
    )


def _labels(texts: list[str] | None) -> list[int | str] | None:
    """Read labels: `7` means the number as well as the text, as datasets have the one and folders the other."""
    if not texts:
        return None
    numbers = [int(text) for text in texts if text.isascii() and text.removeprefix("-").isdecimal()]
    return [*texts, *(number for number in numbers if abs(number) < 2**63)]
