"""`cbir search`: the stored images that look most like each query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import cbir
from cbir.answer import Answer, answer, asked_of_server
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
from cbir.core.settings import read_settings
from cbir.core.words import counted
from cbir.search.options import SearchOptions


@options_from(SearchOptions)
def search(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY...",
            help="Picture files, uris such as mnist:test/7, or words; combined: cat.jpg + 2:'on a sofa' - dog.jpg.",
        ),
    ] = None,
    *,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Search for each picture of a folder, an archive or a list instead, and print what is found as it is; "
            "with --json, a document a line.",
        ),
    ] = None,
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
    queries = arguments or []
    if bool(queries) == (batch is not None):
        raise typer.BadParameter("say what to search for: either queries, or --batch SOURCE", param_hint="QUERY...")
    if save is not None:
        if batch is not None:
            raise OptionError("--save draws a few queries; leave out either --save or --batch")
        require_folder_of(save)
    name = collection_or_default(collection, qdrant_url)
    options = replace(options, labels=_labels(label), where=conditions(where, within))
    if batch is not None:
        from cbir.cli.batch import print_lines, search_batch

        prints = print_lines if json_ else partial(_print_places, null=null) if paths or null else _print_hits
        unread, missing = search_batch(
            batch, name, options, prints, json_=json_, qdrant_url=qdrant_url, data_dir=data_dir
        )
        if missing:
            note(_said_of_missing(missing))
        if unread:
            raise typer.Exit(1)
        return
    answered = None
    if save is None:
        answered = asked_of_server(read_settings(data_dir, qdrant_url), name, queries, options)
    unread = 0
    if answered is None:
        answered, unread = _answered(name, queries, options, save, qdrant_url, data_dir)
    if answered.places and options.prune is not None and answered.fewest < options.k:
        limited = " that pass" if label or options.where else ""
        note(f"fewer than {options.k} images{limited} are within {options.prune} bits")
    if answered.missing:
        note(_said_of_missing(answered.missing))
    if json_:
        print_json(answered.document)
    elif paths or null:
        _print_places(answered, null=null)
    else:
        _print_hits(answered)
    if unread:
        raise typer.Exit(1)


def _answered(
    name: str,
    arguments: Sequence[str],
    options: SearchOptions,
    save: Path | None,
    qdrant_url: str | None,
    data_dir: Path | None,
) -> tuple[Answer, int]:
    """Search in this process; return the hits, and how many queries could not be read."""
    from cbir.ingest.sources.catalogue import NAMES
    from cbir.search.stream import searched

    with (
        _bars_if_needed() as progress,
        cbir.open(name, qdrant_url=qdrant_url, data_dir=data_dir, progress=progress) as searcher,
    ):
        asked = searcher.parse(arguments, text=options.text, datasets=NAMES)
        answered = searched(searcher, asked, options)
        if not answered.queries:
            raise answered.unreadable[0][1]
        for _, error in answered.unreadable:
            note(f"skipped: {error}")
        queries, found = answered.queries, answered.hits
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
    return answer(searcher, queries, found, allowed), len(asked) - len(queries)


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


def _print_places(answered: Answer, *, null: bool) -> None:
    """Print the paths of the hits that are there."""
    print_paths((place for place in answered.places if place not in answered.missing), null=null)


def _print_hits(answered: Answer) -> None:
    """Print a table of hits for each query."""
    from cbir.cli.terminal import table

    columns = [("rank", True), ("distance", True), ("label", False), ("image", False)]
    for title, rows in zip(answered.titles, answered.rows, strict=True):
        table(f"{title} in {answered.name}", columns, rows)


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
