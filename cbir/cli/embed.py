"""`cbir embed`: a picture's feature vector, for other tools."""

from typing import Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.output import print_json
from cbir.cli.parameters import Collection, DataDir, Invert, QdrantUrl, collection_or_default


def embed(
    image: Annotated[str, typer.Argument(help="Picture file, or a uri such as mnist:test/7.")],
    collection: Collection = None,
    invert: Invert = False,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
    json_: Annotated[bool, typer.Option("--json", help="This command always prints JSON.", show_default=False)] = True,  # noqa: ARG001
) -> None:
    """Print an image's feature vector as JSON, for other tools that query Qdrant."""
    name = collection_or_default(collection, qdrant_url)
    with cbir.open(name, qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
        vector = searcher.embed(image, invert=invert)
        document = documents.embedding(image, searcher, vector)
    print_json(document, indent=None)  # a vector is long
