"""`cbir compare`: encoders side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

import cbir
from cbir import documents
from cbir.cli.evaluate import print_left_out
from cbir.cli.output import note, print_json
from cbir.cli.parameters import AsJson, DataDir, QdrantUrl, Seed
from cbir.cli.terminal import bars, line, table

if TYPE_CHECKING:
    from cbir.evaluate.compare.comparison import Comparison
    from cbir.evaluate.compare.copies_comparison import CopiesComparison


def compare(
    source: Annotated[
        str, typer.Option(help="digits, mnist, fashion-mnist, or a folder of pictures, best with labels.")
    ] = "digits",
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:OPTIONS]",
            help="Encoder, such as pca:values=32, or net.onnx; repeatable; default: all that fit. See: cbir encoders.",
        ),
    ] = None,
    queries: Annotated[
        int | None,
        typer.Option(
            min=1, help="At most N queries, the same for all encoders; default: 1000, and 200 pictures to edit."
        ),
    ] = None,
    seed: Seed = 0,
    training_seed: Annotated[int | None, typer.Option(min=0, help="Seed of the encoders that have one.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ingest at most N images.")] = None,
    save: Annotated[Path | None, typer.Option(help="Folder to copy the table, the curves and the line-up to.")] = None,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Compare encoders: train and evaluate those that are new, print one table, draw pictures.

    By labels where there are any; else by searching for edited copies of the pictures.
    """
    given: _Given = {
        "seed": seed,
        "training_seed": training_seed,
        "limit": limit,
        "save": save,
        "qdrant_url": qdrant_url,
        "data_dir": data_dir,
    }
    asked: _Queries = {} if queries is None else {"queries": queries}
    done: Comparison | CopiesComparison
    with bars() as progress:
        try:
            done = cbir.compare(source, encoder or (), **asked, **given, progress=progress)
        except cbir.UnlabelledError:
            done = cbir.compare_copies(source, encoder or (), **asked, **given, progress=progress)
    if json_:
        print_json(documents.comparison(done))
    elif isinstance(done, cbir.Comparison):
        _print_comparison(done)
    else:
        _print_copies_comparison(done)
    if save is not None:
        note(f"copied to {save}")


class _Queries(TypedDict, total=False):
    queries: int


class _Given(TypedDict):
    seed: int
    training_seed: int | None
    limit: int | None
    save: Path | None
    qdrant_url: str | None
    data_dir: Path | None


def _print_copies_comparison(done: CopiesComparison) -> None:
    """Print a comparison's table, and where its picture is."""
    headings, rows = done.cells()
    table(done.title, [(heading, n > 0) for n, heading in enumerate(headings)], rows)
    for name, reason in done.failed.items():
        line(f"{name} failed: {reason}")
    line(f"figure  {done.figure}")
    line("no labels, so no LRAP and no mAP: for those, put the pictures into one folder per class")


def _print_comparison(done: Comparison) -> None:
    """Print a comparison's table, and where its pictures are."""
    headings, rows = done.cells()
    table(done.title, [(heading, n > 0) for n, heading in enumerate(headings)], rows)
    if len((scores := done.rows[0].scores).parts) > 1:
        headings, rows = done.cells(answerable=True)
        table(scores.whose(scores.parts[1]), [(heading, n > 0) for n, heading in enumerate(headings)], rows)
    for name, reason in done.failed.items():
        line(f"{name} failed: {reason}")
    print_left_out(scores)
    line(f"curves  {done.curves}")
    line(f"lineup  {done.lineup}")
