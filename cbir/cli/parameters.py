"""Parameters that several commands share, and the collection that is meant if none is named."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cbir.cli.output import note

Collection = Annotated[
    str | None, typer.Option("--collection", "-c", help="Collection; by default the one ingested last.")
]
CollectionArgument = Annotated[
    str | None, typer.Argument(metavar="[COLLECTION]", help="By default the one ingested last.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of mnist and fashion-mnist; also CBIR_DATA.")]
QdrantUrl = Annotated[
    str | None, typer.Option("--qdrant-url", help="Qdrant server; also QDRANT_URL. Its key: QDRANT_API_KEY.")
]
Quantization = Annotated[
    Literal["int8", "binary", "turbo"] | None,
    typer.Option("--quantization", help="On a server: int8, binary or turbo."),
]
OnDisk = Annotated[bool, typer.Option("--on-disk", help="On a server: leave the vectors on disk.")]
Shards = Annotated[int | None, typer.Option(min=1, help="On a cluster: parts to spread over.")]
Replicas = Annotated[int | None, typer.Option(min=1, help="On a cluster: copies of each part.")]
Index = Annotated[
    bool | None, typer.Option("--index/--no-index", help="Build the HNSW index; by default when it pays.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed.")]
Invert = Annotated[bool, typer.Option("--invert", help="Swap dark and light in the query.")]


def collection_or_default(collection: str | None, qdrant_url: str | None) -> str:
    """Return the collection to use, and say which if it was not named."""
    if collection is not None:
        return collection
    from contextlib import closing

    from cbir.collection import home
    from cbir.core.settings import read_settings

    with closing(home.open_engine(read_settings(qdrant_url=qdrant_url))) as engine:
        name = home.default_collection(engine)
    note(f"collection '{name}'")
    return name
