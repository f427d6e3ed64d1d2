"""`cbir snapshot`: a collection into a file."""

from pathlib import Path
from typing import Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.output import note, print_json
from cbir.cli.parameters import AsJson, CollectionArgument, QdrantUrl
from cbir.cli.terminal import bars, line
from cbir.core.words import size


def snapshot(
    collection: CollectionArgument = None,
    save: Annotated[
        Path | None, typer.Option(help="File to write; default: NAME.cbir.zip, or NAME.snapshot from a server.")
    ] = None,
    qdrant_url: QdrantUrl = None,
    json_: AsJson = False,
) -> None:
    """Write a collection into a file: an archive, or from a server Qdrant's own snapshot."""
    with bars() as progress:
        made = cbir.snapshot(collection, save, qdrant_url=qdrant_url, progress=progress)
    if not made.with_model:
        note(
            "the snapshot does not contain the model. To search it by picture elsewhere, "
            "copy the model's folder too (see: cbir info)."
        )
    if json_:
        print_json(documents.snapshot(made))
    else:
        line(f"{made.path} ({size(made.bytes)})")
