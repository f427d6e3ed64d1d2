"""`cbir embed`: feature vectors, for other tools: a picture's as JSON, a whole source's as Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.output import note, print_json
from cbir.cli.parameters import Collection, DataDir, Invert, QdrantUrl, collection_or_default
from cbir.cli.terminal import bars, line
from cbir.core.errors import CbirError
from cbir.core.words import counted, size

if TYPE_CHECKING:
    from cbir.verbs.embed import Embedded

#: Skipped pictures that are named; the file has all.
_NAMED = 10


def embed(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Picture file, or a uri such as mnist:test/7; with --parquet whatever cbir ingest takes: a folder, "
            "archives, lists.",
        ),
    ],
    collection: Collection = None,
    invert: Invert = False,
    parquet: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the points of all pictures into Parquet files in this folder, for Spark and others; what an "
            "earlier run wrote there, and is unchanged, stays.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="With --parquet: write at most N images.")] = None,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON; without --parquet it always is.")
    ] = False,
) -> None:
    """Print an image's feature vector as JSON, or write a source's as Parquet, for other tools that use Qdrant."""
    if parquet is not None:
        if invert:
            raise CbirError("--invert swaps dark and light in a query: not with --parquet")
        with bars() as progress:
            done = cbir.embed(
                images,
                parquet,
                collection=collection,
                limit=limit,
                qdrant_url=qdrant_url,
                data_dir=data_dir,
                progress=progress,
            )
        _show(done, json_=json_)
        return
    if limit is not None:
        raise CbirError("--limit: only with --parquet")
    if len(images) > 1:
        raise CbirError(f"{len(images)} images: name one, or a --parquet folder for the features of many")
    (image,) = images
    if Path(image).is_dir():
        raise CbirError(f"{image} is a folder: name a picture in it, or a --parquet folder for the features of all")
    name = collection_or_default(collection, qdrant_url)
    with cbir.open(name, qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
        vector = searcher.embed(image, invert=invert)
        document = documents.embedding(image, searcher, vector)
    print_json(document, indent=None)  # a vector is long


def _show(done: Embedded, *, json_: bool) -> None:
    written = done.written
    for _, reason in written.unreadable[:_NAMED]:
        note(f"skipped: {reason}")
    if written.skipped > _NAMED:
        note(f"skipped: {written.skipped - _NAMED:,} more, see {done.lines}")
    if written.warned:
        note(f"read with a warning: {counted(written.warned, 'picture')}, see {done.lines}")
    for left in written.left_out:
        note(f"left out: {left}")
    for field, points in written.fields_left_out.items():
        note(f"left out: the field {field} of {counted(points, 'point')}, as no column can hold it")
    if json_:
        print_json(documents.embedded(done))
        return
    line(f"model       {done.model.path}")
    line(f"encoder     {done.model.kind} {done.model.fingerprint}, {done.model.dimension} values an image")
    kinds = counted(len(written.sets), "set of fields", "sets of fields")
    held = sum(points for _, points, _ in written.sets)
    line(f"features    {done.folder}: {counted(held, 'point')}, {kinds}, {size(done.bytes)}")
    if others := held - written.points:
        line(f"others      {counted(others, 'point')} of an earlier run, whose pictures were not looked at now")
    if written.kept:
        line(f"kept        {counted(written.kept, 'point')} of an earlier run, unchanged")
    if written.taken_out:
        line(f"taken out   {counted(written.taken_out, 'point')} of an earlier run: gone, or other pictures now")
    if written.copies:
        line(f"copies      {written.copies:,}, which are points of other files: cbir ingest notes them later")
    line(f"time        {written.seconds:.1f} s")
