"""`cbir ingest`: a source into a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.output import note, print_json
from cbir.cli.parameters import AsJson, DataDir, Index, OnDisk, QdrantUrl, Quantization, Replicas, Shards
from cbir.cli.terminal import bars, line
from cbir.core.errors import flag

if TYPE_CHECKING:
    from cbir.ingest.job import Report


def ingest(
    source: Annotated[str, typer.Argument(help="digits, mnist, fashion-mnist, or a folder of pictures.")] = "digits",
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Collection to fill; the source's name by default.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model bundle, or .keras / .h5 file with a layer 'encoder', to use.")
    ] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train again and build the collection anew.")] = False,
    encoder: Annotated[
        str | None, typer.Option(help="Encoder to learn (see: cbir encoders); contrastive for a new collection.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Height and width of the encoder's input; by default what suits the pictures.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs to train.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images a training step.")] = None,
    noise: Annotated[
        float | None, typer.Option(min=0.0, help="Standard deviation of the noise, pixels in [0, 1].")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the training.")] = None,
    rotation: Annotated[
        float | None, typer.Option(min=0.0, help="contrastive: degrees either way that are to make no difference.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="contrastive: default, or quality, which takes three times as long or more.")
    ] = None,
    bits: Annotated[int | None, typer.Option(min=1, help="deep-autoencoder: length of the code.")] = None,
    short_bits: Annotated[
        int | None, typer.Option(min=1, help="deep-autoencoder: leading bits of it that prune a search.")
    ] = None,
    values: Annotated[int | None, typer.Option(min=1, help="pca, sift: values in a feature.")] = None,
    words: Annotated[int | None, typer.Option(min=1, help="sift: size of the vocabulary.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most images to take.")] = None,
    smooth: Annotated[
        int | None,
        typer.Option(min=0, help="Store features averaged with so many nearest; the collection keeps to it."),
    ] = None,
    index: Index = None,
    qdrant_url: QdrantUrl = None,
    quantization: Quantization = None,
    on_disk: OnDisk = False,
    shards: Shards = None,
    replicas: Replicas = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Train or load an encoder, encode every image, store the features in Qdrant."""
    options = {
        "epochs": epochs,
        "batch_size": batch_size,
        "noise": noise,
        "seed": seed,
        "rotation": rotation,
        "preset": preset,
        "bits": bits,
        "short_bits": short_bits,
        "values": values,
        "words": words,
    }
    with bars() as progress:
        report = cbir.ingest(
            source,
            collection=collection,
            model=model,
            retrain=retrain,
            encoder=encoder,
            size=size,
            limit=limit,
            smooth=smooth,
            index=index,
            qdrant_url=qdrant_url,
            quantization=quantization,
            on_disk=on_disk,
            shards=shards,
            replicas=replicas,
            data_dir=data_dir,
            progress=progress,
            **options,
        )
    if not report.trained and not retrain:
        learned_by = report.model.card.get("recipe") or {}
        unused = [flag(name) for name, value in options.items() if value not in (None, learned_by.get(name))]
        if unused:
            note(f"{', '.join(unused)} not used: there is a model; train again with --retrain, or name a --collection")
    for _, reason in report.unreadable:
        note(f"skipped: {reason}")
    if report.passed_over:
        note(
            f"not looked at: {report.passed_over} picture(s) deeper than one folder level, "
            "neither PNG nor JPEG, or with names that are not UTF-8"
        )
    if json_:
        print_json(documents.ingest(report))
    else:
        _print_report(report)


def _print_report(report: Report) -> None:
    """Print which model was used, what was stored, and how long it took."""
    took = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.seconds.items() if seconds >= 0.05)
    line(f"model       {'trained' if report.trained else 'loaded'} {report.model.path}")
    line(f"encoder     {report.model.kind} {report.model.fingerprint}, {report.model.dimension} values an image")
    line(
        f"collection  {report.collection}: {report.points:,} points; {report.ingested:,} ingested, "
        f"{report.unchanged:,} unchanged, {len(report.unreadable):,} skipped"
    )
    if took:
        line(f"time        {took}")
    line("next        cbir search IMAGE, cbir evaluate")
