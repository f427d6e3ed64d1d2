"""`cbir search`: the stored images that look most like each query."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.output import note, print_json
from cbir.cli.parameters import (
    AsJson,
    Collection,
    DataDir,
    Expand,
    Invert,
    QdrantUrl,
    Rerank,
    collection_or_default,
)

if TYPE_CHECKING:
    from cbir.collection.point import Hit


def search(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Files, or uris such as mnist:test/7.")],
    k: Annotated[int, typer.Option("-k", min=1, help="Hits for each image.")] = 10,
    collection: Collection = None,
    label: Annotated[list[str] | None, typer.Option(help="Only hits with this label; repeatable.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every point, not by the HNSW index.")] = False,
    expand: Expand = 0,
    rerank: Rerank = False,
    save: Annotated[Path | None, typer.Option(help="Write queries and hits side by side as a picture.")] = None,
    prune: Annotated[
        int | None, typer.Option(min=0, help="Rank only images whose short code differs in at most so many bits.")
    ] = None,
    invert: Invert = False,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Find the stored images that look most like each query image."""
    name = collection_or_default(collection, qdrant_url)
    with cbir.open(name, qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
        found = searcher.search_many(
            images, k, labels=_labels(label), exact=exact, invert=invert, prune=prune, expand=expand, rerank=rerank
        )
    if save is not None:
        from cbir.search.sheet import save_picture
        from cbir.search.strip import strip

        queries = [(Path(i).name if Path(i).exists() else i, searcher.open_picture(i)) for i in images]
        drawn, missing = strip(queries, found, searcher.open_stored)
        if missing:
            note(f"not every hit can be shown: {missing}")
        note(f"picture: {save_picture(drawn, save)}")
    if label and not any(found):
        near = "" if prune is None else f" and is within {prune} bits"
        note(f"no image in '{name}' has the label {' or '.join(label)}{near}")
    elif prune is not None and min(map(len, found)) < k:
        note(f"fewer than {k} images{' of that label' if label else ''} are within {prune} bits")
    if json_:
        print_json(documents.search(name, images, found))
    else:
        _print_hits(name, images, found)


def _print_hits(collection: str, images: Sequence[str], found: Sequence[Sequence[Hit]]) -> None:
    """Print a table of hits for each query."""
    from cbir.cli.terminal import table

    columns = [("rank", True), ("distance", True), ("label", False), ("uri", False)]
    for image, hits in zip(images, found, strict=True):
        rows = [(n, f"{h.distance:.4f}", "" if h.label is None else h.label, h.uri) for n, h in enumerate(hits, 1)]
        table(f"{image} in {collection}", columns, rows)


def _labels(texts: list[str] | None) -> list[int | str] | None:
    """Read labels: `7` means the number as well as the text, as datasets have the one and folders the other."""
    if not texts:
        return None
    numbers = [int(text) for text in texts if text.isascii() and text.removeprefix("-").isdecimal()]
    return [*texts, *(number for number in numbers if abs(number) < 2**63)]
