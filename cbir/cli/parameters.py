"""Parameters that several commands share, and the collection to use where none is named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from cbir.cli.output import note

Collection = Annotated[
    str | None, typer.Option("--collection", "-c", help="Name of the collection; default: the one ingested last.")
]
CollectionArgument = Annotated[
    str | None, typer.Argument(metavar="[COLLECTION]", help="Name of the collection; default: the one ingested last.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove what is listed without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; only say what would be done.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the datasets mnist and fashion-mnist; also CBIR_DATA.")]
QdrantUrl = Annotated[
    str | None,
    typer.Option(
        "--qdrant-url", help="Use collections on this Qdrant server; also QDRANT_URL. Its key: QDRANT_API_KEY."
    ),
]
Quantization = Annotated[
    Literal["int8", "binary", "turbo", "none"] | None,
    typer.Option(
        "--quantization",
        help="Search smaller copies of the vectors, where memory is short; none: no longer, with --retrain.",
    ),
]
OnDisk = Annotated[
    bool | None,
    typer.Option("--on-disk/--no-on-disk", help="Keep the vectors on disk; default with --retrain: as they are."),
]
Shards = Annotated[int | None, typer.Option(min=1, help="On a cluster: number of parts to spread the points over.")]
Replicas = Annotated[int | None, typer.Option(min=1, help="On a cluster: number of copies of each part.")]
Index = Annotated[
    bool | None,
    typer.Option("--index/--no-index", help="Whether to build the HNSW index; default: only for large collections."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random choice of queries or pictures.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only images for which this is true: camera='Pixel 8', taken_at>=2024-06, folder=Holidays/**; repeatable.",
    ),
]
Within = Annotated[
    str | None,
    typer.Option("--within", metavar="LAT,LON,DISTANCE", help="Only images taken there: 48.85,2.35,10km."),
]
Paths = Annotated[bool, typer.Option("--paths", help="Print only paths, one a line.")]
Null = Annotated[bool, typer.Option("--null", "-0", help="Print only paths, each with a NUL behind it, for xargs -0.")]
Invert = Annotated[bool, typer.Option("--invert", help="Swap dark and light in the query.")]


def conditions(where: Sequence[str] | None, within: str | None) -> list[str] | None:
    """Return what --where and --within say as conditions, all of which must be true; None if nothing."""
    found = [*(where or ()), *([] if within is None else [f"gps={within}"])]
    return found or None


def collection_or_default(collection: str | None, qdrant_url: str | None) -> str:
    """Return the collection to use; print which, if none was named."""
    if collection is not None:
        return collection
    from contextlib import closing

    from cbir.collection import home
    from cbir.core.settings import read_settings

    with closing(home.open_engine(read_settings(qdrant_url=qdrant_url))) as engine:
        name = home.default_collection(engine, warn=True)
    note(f"collection '{name}'")
    return name
