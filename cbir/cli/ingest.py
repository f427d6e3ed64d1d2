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

if TYPE_CHECKING:
    from cbir.ingest.job import Report


def ingest(
    source: Annotated[str, typer.Argument(help="digits, mnist, fashion-mnist, or a folder of pictures.")] = "digits",
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Collection to fill; default: the name of the source.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Use this model bundle, .onnx file, or .keras or .h5 file with a layer 'encoder'."),
    ] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train again and rebuild the collection.")] = False,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:OPTIONS]",
            help="Encoder, such as pca:values=32; default: photo, or contrastive for small grey pictures. "
            "See: cbir encoders [NAME].",
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Height and width of the encoder's input; default: what suits the pictures.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ingest at most N images.")] = None,
    smooth: Annotated[
        int | None,
        typer.Option(min=0, help="Store the average of each feature and its N nearest; cannot be changed later."),
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
        )
    for _, reason in report.unreadable:
        note(f"skipped: {reason}")
    for left in report.left_out:
        note(f"left out: {left.count:,} {left.reason}{f'; {left.hint}' if left.hint else ''}")
    if learned := _outgrown(report):
        note(
            f"the encoder learned from {learned:,} picture(s), and there are {report.points:,} now: "
            "cbir ingest ... --retrain learns from all"
        )
    if json_:
        print_json(documents.ingest(report))
    else:
        _print_report(report)


def _outgrown(report: Report) -> int:
    """Return from how many pictures the encoder learned, if the collection is more than twice as large now; else 0."""
    from cbir.model.registry import kind_of

    learned = report.model.metadata.get("images") or 0
    kind = kind_of(report.model.kind)
    return learned if not report.trained and 2 * learned < min(report.points, kind.most_images) else 0


def _print_report(report: Report) -> None:
    """Print which model was used, what was stored, and how long it took."""
    took = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.seconds.items() if seconds >= 0.05)
    line(f"model       {'trained' if report.trained else 'loaded'} {report.model.path}")
    usual = f", the usual one for {report.usual_for}" if report.usual_for else ""
    line(f"encoder     {report.model.kind} {report.model.fingerprint}, {report.model.dimension} values an image{usual}")
    for learned in report.model.metadata.get("notes") or [] if report.trained else []:
        line(f"            {learned}")
    updated = f"{report.updated:,} updated without encoding, " if report.updated else ""
    line(
        f"collection  {report.collection}: {report.points:,} points; {report.ingested:,} ingested, "
        f"{updated}{report.unchanged:,} unchanged, {len(report.unreadable):,} skipped"
    )
    if took:
        line(f"time        {took}")
    line("next        cbir search IMAGE, cbir evaluate")
