"""`cbir ingest`: a source into a collection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import cbir
from cbir import documents
from cbir.cli.options import options_from, typed
from cbir.cli.output import note, print_json
from cbir.cli.parameters import AsJson, DataDir, Index, OnDisk, QdrantUrl, Quantization, Replicas, Shards
from cbir.cli.terminal import bars, line, table
from cbir.cli.watching import follow
from cbir.core.errors import CbirError
from cbir.core.words import counted
from cbir.ingest.sources.choice import Choice, as_typed

if TYPE_CHECKING:
    from cbir.ingest.report import Report

#: Skipped pictures that are named; the report's file has all.
_NAMED = 10


@options_from(Choice)
def ingest(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="digits (the default), mnist, fashion-mnist; a folder, .zip, .tar or .parquet file of pictures; a "
            "picture; a text file of paths and addresses; - for such a list on standard input; 'photos/**/*.jpg'; an "
            "http(s) address; s3://bucket/photos.",
            show_default=False,
        ),
    ] = None,
    *,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection", "-c", help="Collection to fill; default: the name of the source, or of the first."
        ),
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
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what is stored of pictures that are gone; default: count them.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --prune: also if half of a folder is gone, or all of it.")
    ] = False,
    checksum: Annotated[
        bool, typer.Option("--checksum", help="Read every file, also those whose size and times are as stored.")
    ] = False,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Entries of lists end with NUL, as find -print0 writes them.")
    ] = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch addresses from private networks too.")
    ] = False,
    forget_options: Annotated[
        bool,
        typer.Option(
            "--forget-options",
            help="Forget the --exclude, --include, --hidden, --follow and --labels that a folder was ingested with "
            "before; default: those that are not given are as before.",
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Stay, and follow what changes in the folder; implies --prune. Ctrl-C ends it."),
    ] = False,
    options: Choice,
    on: Annotated[
        Literal["ray"] | None,
        typer.Option(help="ray: read and encode on many machines, into a collection on a server."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Ray's cluster, HOST:6379; also RAY_ADDRESS; default: Ray on this machine alone."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="With --on ray: how many encode.")] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option(min=0, help="With --on ray: GPUs that each of them takes; 0.5: two share one.")
    ] = None,
    read_workers: Annotated[int | None, typer.Option(min=1, help="With --on ray: how many read and decode.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything was skipped.")] = False,
    qdrant_url: QdrantUrl = None,
    quantization: Quantization = None,
    on_disk: OnDisk = None,
    shards: Shards = None,
    replicas: Replicas = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Train or load an encoder, encode every image, store the features in Qdrant."""
    named = sources or ["digits"]
    chosen = typed(context, vars(options))
    given: dict[str, Any] = {
        **{name: value for name, value in vars(options).items() if name in chosen},
        "forget_options": forget_options,
        "null": null,
        "allow_private": allow_private,
        "collection": collection,
        "model": model,
        "retrain": retrain,
        "encoder": encoder,
        "size": size,
        "limit": limit,
        "smooth": smooth,
        "index": index,
        "force": force,
        "checksum": checksum,
        "qdrant_url": qdrant_url,
        "quantization": quantization,
        "on_disk": on_disk,
        "shards": shards,
        "replicas": replicas,
        "on": on,
        "ray": ray,
        "workers": workers,
        "gpus_per_worker": gpus_per_worker,
        "read_workers": read_workers,
        "data_dir": data_dir,
    }
    if watch and on:
        raise CbirError("--watch follows a folder on this machine: not with --on ray")
    if watch:
        show = partial(_show, sources=named, given=chosen, pruned=True, json_=False)
        skipped = follow(named, given, show, json_=json_)
    else:
        with bars() as progress:
            report = cbir.ingest(named, **given, prune=prune, progress=progress)
        _show(report, named, chosen, pruned=prune, json_=json_)
        skipped = bool(report.skipped)
    if strict and skipped:
        raise typer.Exit(1)


def _show(report: Report, sources: Sequence[str], given: Collection[str], *, pruned: bool, json_: bool) -> None:
    """Print what an ingest did.

    Parameters
    ----------
    report : Report
    sources : sequence of str
        As they were typed.
    given : collection of str
        Options of `Choice` that were typed.
    pruned : bool
        It was to remove what is gone.
    json_ : bool
    """
    for path, chosen in report.choices.items():
        if before := {name: value for name, value in chosen.items() if name not in given}:
            note(f"as before, {as_typed(before)} counts for {path}: --forget-options takes all anew")
    for _, reason in report.unreadable[:_NAMED]:
        note(f"skipped: {reason}")
    if report.skipped > _NAMED:
        note(f"skipped: {report.skipped - _NAMED:,} more, see {report.file}")
    for _, reason in report.warnings[:_NAMED]:
        note(f"read with a warning: {reason}")
    if report.warned > _NAMED:
        note(f"read with a warning: {report.warned - _NAMED:,} more, see {report.file}")
    for left in report.left_out:
        note(f"left out: {left}")
    if report.relabelled and "labels" not in given:
        changed = counted(report.relabelled, "stored picture has", "stored pictures have")
        none = f", and {report.unlabelled:,} none" if report.unlabelled else ""
        note(
            f"{changed} another label than before{none}: a folder's name is a label where the folder holds nothing but "
            "such folders of pictures; --labels folder makes it one in any case, --labels none in no case"
        )
    if report.conflicting:
        note(
            f"{counted(report.conflicting, 'copy has', 'copies have')} another label than the same picture elsewhere, "
            "which keeps its own: a picture has one label"
        )
    if report.gone:
        named = ", ".join(sources)
        gone = counted(report.gone, "stored picture is", "stored pictures are")
        flags = "--prune --force" if pruned else "--prune"
        note(f"{gone} gone from {named}: cbir ingest ... {flags} removes {'it' if report.gone == 1 else 'them'}")
    if report.unchosen:
        unchosen = counted(report.unchosen, "stored picture is", "stored pictures are")
        flags = "--prune --force" if pruned else "--prune"
        them = "it" if report.unchosen == 1 else "them"
        note(f"{unchosen} left out now, and still stored: cbir ingest ... {flags} removes {them}")
    if learned := _outgrown(report):
        note(
            f"the encoder learned from {counted(learned, 'picture')}, and there are {report.points:,} now: "
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


def _print_counts(report: Report) -> None:
    """Print what became of all that was found, and how many stored pictures are gone."""
    counts = {
        "found": report.found,
        "ingested": report.ingested,
        "unchanged": report.unchanged,
        "updated": report.updated,
        "moved": report.moved,
        "copies": report.copies,
        "skipped": report.skipped,
        "left out": report.left_out_count,
        "gone": report.gone,
        "unchosen": report.unchosen,
        "pruned": report.pruned,
    }
    always = ("found", "ingested", "unchanged", "skipped")
    drawn = {name: f"{count:,}" for name, count in counts.items() if count or name in always}
    table("", [(name, True) for name in drawn], [list(drawn.values())])
    if report.file is not None:
        line(f"details     {report.file}")


def _print_report(report: Report) -> None:
    """Print which model was used, what was stored, and how long it took."""
    took = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.seconds.items() if seconds >= 0.05)
    line(f"model       {'trained' if report.trained else 'loaded'} {report.model.path}")
    usual = f", the usual one for {report.usual_for}" if report.usual_for else ""
    line(f"encoder     {report.model.kind} {report.model.fingerprint}, {report.model.dimension} values an image{usual}")
    for learned in report.model.metadata.get("notes") or [] if report.trained else []:
        line(f"            {learned}")
    line(f"collection  {report.collection}: {report.points:,} {'point' if report.points == 1 else 'points'}")
    if took:
        line(f"time        {took}")
    _print_counts(report)
    line("next        cbir search IMAGE, cbir evaluate")
