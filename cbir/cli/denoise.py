"""`cbir denoise`: what a denoising autoencoder makes of noisy images."""

from pathlib import Path
from typing import Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.output import print_json, print_paths
from cbir.cli.parameters import AsJson, Collection, DataDir, QdrantUrl, Seed, collection_or_default


def denoise(
    collection: Collection = None,
    save: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("denoised.png"),
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 10,
    noise: Annotated[
        float | None, typer.Option(min=0.0, help="Standard deviation of the noise; default: as in training.")
    ] = None,
    seed: Seed = 0,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Draw noisy images above the same images denoised by the autoencoder."""
    name = collection_or_default(collection, qdrant_url)
    path = cbir.denoise(name, save, count=count, noise=noise, seed=seed, qdrant_url=qdrant_url, data_dir=data_dir)
    if json_:
        print_json(documents.denoised(name, path))
    else:
        print_paths([str(path)])
