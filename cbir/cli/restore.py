"""`cbir restore`: a file that `cbir snapshot` wrote into a collection."""

from pathlib import Path
from typing import Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.output import print_json
from cbir.cli.parameters import AsJson, QdrantUrl
from cbir.cli.terminal import bars, line


def restore(
    file: Annotated[Path, typer.Argument(help="File that cbir snapshot wrote.")],
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection", "-c", help="Name of the collection; default: the file's name up to its first dot."
        ),
    ] = None,
    qdrant_url: QdrantUrl = None,
    json_: AsJson = False,
) -> None:
    """Make a collection from a file that cbir snapshot wrote."""
    with bars() as progress:
        name = cbir.restore(file, collection, qdrant_url=qdrant_url, progress=progress)
    if json_:
        print_json(documents.restored(name, file))
    else:
        line(f"collection '{name}'")
