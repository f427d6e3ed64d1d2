"""`cbir evaluate`: scores of a collection, or of what distortions leave of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.options import options_from
from cbir.cli.output import print_json
from cbir.cli.parameters import AsJson, DataDir, QdrantUrl, collection_or_default
from cbir.cli.terminal import bars, line, table
from cbir.core.errors import CbirError
from cbir.evaluate.options import EvaluationOptions

if TYPE_CHECKING:
    from cbir.evaluate.evaluation import Evaluation
    from cbir.evaluate.robustness import Robustness
    from cbir.evaluate.scores import Scores


@options_from(EvaluationOptions)
def evaluate(
    *,
    collection: Annotated[
        list[str] | None,
        typer.Option(
            "--collection", "-c", help="Collection; default: the one ingested last. Repeatable with --distort."
        ),
    ] = None,
    depth: Annotated[
        list[int] | None, typer.Option(min=1, help="Number of results to score at; repeatable; default: the article's.")
    ] = None,
    options: EvaluationOptions,
    distort: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=A,B,...]", help="Distort the queries, such as rotate=15,30 or blur; repeatable."),
    ] = None,
    from_run: Annotated[Path | None, typer.Option(help="Score this stored run again instead of searching.")] = None,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Score a collection by the article's protocol: LRAP, mAP and others against depth, or under distortions."""
    if distort:
        if depth or from_run:
            raise CbirError("--distort always searches, and scores at depth 10: leave out --depth and --from-run")
        with bars() as progress:
            robustness = cbir.evaluate_distorted(
                collection or [collection_or_default(None, qdrant_url)],
                distort,
                qdrant_url=qdrant_url,
                data_dir=data_dir,
                progress=progress,
                **asdict(options),
            )
        if json_:
            print_json(documents.robustness(robustness))
        else:
            _print_robustness(robustness)
        return
    if collection and len(collection) > 1:
        raise CbirError("cbir evaluate takes one collection, or several with --distort; see also: cbir compare")
    name = collection[0] if collection else None
    with bars() as progress:
        done = cbir.evaluate(
            name if from_run else collection_or_default(name, qdrant_url),
            depths=depth,
            from_run=from_run,
            qdrant_url=qdrant_url,
            data_dir=data_dir,
            progress=progress,
            **asdict(options),
        )
    if json_:
        print_json(documents.evaluation(done))
    else:
        _print_scores(done)


def print_without_relevant(scores: Scores) -> None:
    """Print how many queries LRAP gives 1 although nothing could be found, if there are any."""
    if scores.without_relevant:
        line(f"{scores.without_relevant:,} queries have no image of their label in the collection: read mAP, not LRAP")


def _print_scores(evaluation: Evaluation) -> None:
    """Print scores against depth, and where curve and run are."""
    from cbir.evaluate.run import run_title

    run, scores = evaluation.run, evaluation.scores
    own = bool(run.about.get("leave_one_out"))
    curves = scores.curves()
    table(
        run_title(run.collection, run.database, scores.queries, leave_one_out=own),
        [("n", True), *((heading, True) for heading in curves)],
        [(f"{n:,}", *(f"{curve[n]:.3f}" for curve in curves.values())) for n in scores.lrap],
    )
    for summary in scores.summary():
        line(summary)
    print_without_relevant(scores)
    if evaluation.curve is not None:
        line(f"curve  {evaluation.curve}")
    line(f"run    {evaluation.run_file}")


def _print_robustness(made: Robustness) -> None:
    """Print a table for each collection, and where the figure and the runs are."""
    from cbir.evaluate.run import run_title

    columns = [("LRAP@10", True), ("kept", True), ("mAP@10", True), ("kept", True), ("mAP", True)]
    for facts in made.as_json()["collections"]:
        name = f"{facts['collection']} ({facts['encoder']})"
        points = [("none", facts["undistorted"])]
        points += [(str(distortion), p) for distortion, p in zip(made.distortions, facts["distorted"], strict=True)]
        table(
            run_title(name, facts["database"], facts["queries"], leave_one_out=facts["leave_one_out"]),
            [("distortion", False), *columns],
            [
                (
                    distortion,
                    f"{point['lrap_at_10']:.3f}",
                    _percent(point.get("kept")),
                    f"{point['map_at_10']:.3f}",
                    _percent(point.get("kept_map")),
                    f"{point['map']:.3f}",
                )
                for distortion, point in points
            ],
        )
    line("LRAP gives 1 to a query with no relevant image among the ten, mAP@10 gives 0: where they differ, read mAP@10")
    line(f"figure  {made.figure}")
    line(f"runs    {made.folder}")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
