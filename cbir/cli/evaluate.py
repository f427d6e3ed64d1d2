"""`cbir evaluate`: scores of a collection by its labels, of edited copies, or of what distortions leave of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, Unpack

import typer

import cbir
from cbir import documents
from cbir.cli.options import options_from
from cbir.cli.output import note, print_json
from cbir.cli.parameters import AsJson, DataDir, QdrantUrl, collection_or_default
from cbir.cli.terminal import bars, line, table
from cbir.core.errors import CbirError, CbirWarning
from cbir.core.progress import Progress
from cbir.core.words import counted
from cbir.evaluate.options import CommandOptions

if TYPE_CHECKING:
    from cbir.evaluate.copies.result import Copies
    from cbir.evaluate.evaluation import Evaluation
    from cbir.evaluate.robustness import Robustness
    from cbir.evaluate.scores import Scores


@options_from(CommandOptions)
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
    options: CommandOptions,
    queries_from: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder or archive of queries, one folder per class; default: what was held back, else stored images.",
        ),
    ] = None,
    distort: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=A,B,...]", help="Distort the queries, such as rotate=15,30 or blur; repeatable."),
    ] = None,
    from_run: Annotated[Path | None, typer.Option(help="Score this stored run again instead of searching.")] = None,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Score a collection: by labels, where it has any, and by finding the originals of edited copies."""
    if distort:
        if depth or from_run:
            raise CbirError("--distort always searches, and scores at depth 10: leave out --depth and --from-run")
        names = collection or [collection_or_default(None, qdrant_url)]
        with bars() as progress:
            made = _distorted(
                names, distort, options, queries_from, qdrant_url=qdrant_url, data_dir=data_dir, progress=progress
            )
        if json_:
            print_json(documents.copies(made) if isinstance(made, list) else documents.robustness(made))
        elif isinstance(made, list):
            for each in made:
                _print_copies(each)
        else:
            _print_robustness(made)
        return
    if collection and len(collection) > 1:
        raise CbirError("cbir evaluate takes one collection, or several with --distort; see also: cbir compare")
    if from_run is not None:
        given = {"--collection": collection, "--queries-from": queries_from}
        if said := [*(name for name, value in given.items() if value), *options.flags]:
            raise CbirError(f"--from-run reads what was searched for: leave it out, or {' and '.join(said)}")
        done, copies = _from_run(from_run, depth)
    else:
        name = collection_or_default(collection[0] if collection else None, qdrant_url)
        with bars() as progress:
            done, copies = _measured(
                name, depth, options, queries_from, qdrant_url=qdrant_url, data_dir=data_dir, progress=progress
            )
    if json_:
        print_json(documents.evaluation(done, copies))
        return
    if done is not None:
        _print_scores(done)
    if copies is not None:
        _print_copies(copies)
    if done is None and from_run is None:
        line("no labels, so no LRAP and no mAP: for those, put the pictures into one folder per class and ingest it")


class _Place(TypedDict):
    """Where collections are, and who listens."""

    qdrant_url: str | None
    data_dir: Path | None
    progress: Progress


def _distorted(
    names: list[str], distort: list[str], options: CommandOptions, queries_from: str | None, **place: Unpack[_Place]
) -> Robustness | list[Copies]:
    """Search distorted queries: by labels, or for the originals if asked for or no collection has labels."""
    if options.copies and queries_from:
        raise CbirError("--copies searches for stored pictures: leave out --queries-from")
    if not options.copies:
        try:
            return cbir.evaluate_distorted(names, distort, queries_from=queries_from, **place, **options.given)
        except cbir.NoLabelsError as error:
            if options.copies is False or queries_from or set(error.collections) != set(names):
                raise
    return [cbir.evaluate_copies(name, distort, **place, **options.given) for name in dict.fromkeys(names)]


def _measured(
    name: str, depth: list[int] | None, options: CommandOptions, queries_from: str | None, **place: Unpack[_Place]
) -> tuple[Evaluation | None, Copies | None]:
    """Search held-out queries, if there are labels, and edited copies."""
    from cbir.evaluate.copies.size import MIN_SIDE

    try:
        done = cbir.evaluate(name, depths=depth, queries_from=queries_from, **place, **options.given)
    except cbir.NoLabelsError:
        if depth or queries_from or options.copies is False:
            raise
        return None, cbir.evaluate_copies(name, **place, **options.given)
    if options.copies is None and _small(name, **place):
        note(f"most pictures are smaller than {MIN_SIDE} pixels: --copies searches for edited copies all the same")
        return done, None
    if options.copies is False:
        return done, None
    try:
        return done, cbir.evaluate_copies(name, **place, **options.given)
    except CbirError as error:  # the scores do not need the pictures
        warnings.warn(f"no edited copies were searched for: {error}", CbirWarning, stacklevel=2)
        return done, None


def _small(name: str, **place: Unpack[_Place]) -> bool:
    """Tell whether a collection's pictures are too small for edited copies to say much."""
    from cbir.evaluate.copies.size import are_small

    with cbir.open(name, qdrant_url=place["qdrant_url"], data_dir=place["data_dir"]) as searcher:
        return are_small(searcher)


def _from_run(path: Path, depth: list[int] | None) -> tuple[Evaluation | None, Copies | None]:
    """Read a stored run of either kind."""
    from cbir.evaluate.copies.result import copies_file
    from cbir.evaluate.copies.run import holds_copies

    if not holds_copies(copies_file(path)):
        return cbir.evaluate(from_run=path, depths=depth), None
    if depth:
        raise CbirError(f"{path} is a run of edited copies, which has no depths: leave out --depth")
    return None, cbir.evaluate_copies(from_run=path)


def print_left_out(scores: Scores) -> None:
    """Print how many queries cannot be answered, and how many copies were left out, if there are any."""
    if scores.without_relevant:
        none = counted(scores.without_relevant, "query", "queries")
        line(
            f"{none} of {scores.queries:,} cannot be answered, as no other stored image has their label: "
            "LRAP gives 1 there, the other scores 0, whatever the encoder"
        )
    if scores.copies_left_out:
        copies = counted(scores.copies_left_out, "stored copy", "stored copies")
        asked = counted(scores.with_copies, "query", "queries")
        line(f"left out of the rankings: {copies} of the pictures of {asked}")


def _print_scores(evaluation: Evaluation) -> None:
    """Print scores against depth, and where curve and run are."""
    from cbir.evaluate.run import run_title

    run, scores = evaluation.run, evaluation.scores
    title = run_title(run.collection, run.database, scores.queries, leave_one_out=bool(run.about.get("leave_one_out")))
    for part in scores.parts:
        curves = part.curves()
        table(
            title if part is scores else scores.whose(part),
            [("n", True), *((heading, True) for heading in curves)],
            [(f"{n:,}", *(f"{curve[n]:.3f}" for curve in curves.values())) for n in part.lrap],
        )
    for summary in scores.summary():
        line(summary)
    print_left_out(scores)
    if evaluation.curve is not None:
        line(f"curve  {evaluation.curve}")
    line(f"run    {evaluation.run_file}")


def _print_copies(copies: Copies) -> None:
    """Print how often the originals of edited copies came first, and where the worst misses and the run are."""
    from cbir.evaluate.copies.run import DEPTH

    run = copies.run
    table(
        f"{run.collection}: {counted(run.database, 'image')}, edited copies of {len(run):,} of them searched for",
        [("edit", False), ("original first", True), ("among ten", True)],
        [(row.edit, f"{row.first:.3f}", f"{row.among_ten:.3f}") for row in (*run.rows, run.mean)],
    )
    if run.database <= DEPTH:
        line(f"the collection has no more than {DEPTH} images: 'among ten' says nothing")
    if copies.misses is not None:
        line(f"misses  {copies.misses}")
    line(f"run     {copies.run_file}")


def _print_robustness(made: Robustness) -> None:
    """Print a table for each collection, and where the figure and the runs are."""
    from cbir.evaluate.run import run_title

    for facts, compared in zip(made.as_json()["collections"], made.lines, strict=True):
        name = f"{facts['collection']} ({facts['encoder']})"
        points = [("none", facts["undistorted"])]
        points += [(str(distortion), p) for distortion, p in zip(made.distortions, facts["distorted"], strict=True)]
        scores = compared.undistorted
        title = run_title(name, facts["database"], facts["queries"], leave_one_out=facts["leave_one_out"])
        for part in scores.parts:
            if part is scores:
                _print_distorted(title, points)
            else:
                _print_distorted(scores.whose(part), [(named, point["answerable"]) for named, point in points])
        print_left_out(scores)
    line("LRAP gives 1 to a query with no relevant image among the ten, mAP@10 gives 0: where they differ, read mAP@10")
    line(f"figure  {made.figure}")
    line(f"runs    {made.folder}")


def _print_distorted(title: str, points: list[tuple[str, dict[str, Any]]]) -> None:
    """Print a table, a row for each distortion: its name, and its scores by their names in the document."""
    table(
        title,
        [("distortion", False), *((name, True) for name in ("LRAP@10", "kept", "mAP@10", "kept", "mAP"))],
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


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
