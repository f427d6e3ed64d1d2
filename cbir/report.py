"""Results, written out: as JSON documents for programs and as text for people.

In: what `cbir.api` returns. Out: a dict whose keys other programs rely on, or
lines and tables on standard output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cbir.api import Evaluation, Overview
    from cbir.collection.interface import Hit
    from cbir.collection.transfer import Transferred
    from cbir.comparison import Comparison
    from cbir.copies import Snapshot
    from cbir.evaluate.scores import Scores
    from cbir.ingest.job import Report
    from cbir.robustness import Robustness


def ingest_document(report: Report) -> dict[str, Any]:
    """Return an ingest's report as JSON values."""
    return {
        "collection": report.collection,
        "points": report.points,
        "ingested": report.ingested,
        "unchanged": report.unchanged,
        "skipped": len(report.unreadable),
        "unreadable": [{"uri": uri, "reason": reason} for uri, reason in report.unreadable],
        "passed_over": report.passed_over,
        "model": {
            "path": str(report.model.path),
            "encoder": report.model.kind,
            "trained": report.trained,
            "fingerprint": report.model.fingerprint,
        },
        "seconds": {stage: round(seconds, 3) for stage, seconds in report.seconds.items()},
    }


def print_ingest(report: Report) -> None:
    """Tell which model was used, what was stored, and how long it took."""
    from cbir.console import line

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


def search_document(collection: str, images: Sequence[str], found: Sequence[Sequence[Hit]]) -> dict[str, Any]:
    """Return hits as JSON values."""
    return {
        "collection": collection,
        "queries": [
            {
                "image": image,
                "hits": [
                    {"id": h.id, "distance": h.distance, "label": h.label, "uri": h.uri, "payload": h.payload}
                    for h in hits
                ],
            }
            for image, hits in zip(images, found, strict=True)
        ],
    }


def print_hits(collection: str, images: Sequence[str], found: Sequence[Sequence[Hit]]) -> None:
    """Print a table of hits for each query."""
    from cbir.console import table

    columns = [("rank", True), ("distance", True), ("label", False), ("uri", False)]
    for image, hits in zip(images, found, strict=True):
        rows = [(n, f"{h.distance:.4f}", "" if h.label is None else h.label, h.uri) for n, h in enumerate(hits, 1)]
        table(f"{image} in {collection}", columns, rows)


def print_scores(evaluation: Evaluation) -> None:
    """Print scores against depth, and where curve and run are."""
    from cbir.console import line, table
    from cbir.evaluate.run import headline

    run, scores = evaluation.run, evaluation.scores
    own = bool(run.about.get("leave_one_out"))
    measures = (scores.lrap, scores.map_at, scores.precision_at, scores.recall_at)
    table(
        headline(run.collection, run.database, scores.queries, leave_one_out=own),
        [("n", True), ("LRAP", True), ("mAP@n", True), ("precision@n", True), ("recall@n", True)],
        [(f"{n:,}", *(f"{measure[n]:.3f}" for measure in measures)) for n in scores.lrap],
    )
    line(f"mAP {scores.map:.3f}, precision@1 {scores.precision_at[1]:.3f}")
    _print_without_relevant(scores)
    line(f"scored is the exact ranking; of its first ten, a search finds (recall@10) {scores.ann_recall_at_10:.3f}")
    line(f"curve  {evaluation.curve}")
    line(f"run    {evaluation.run_file}")


def print_robustness(made: Robustness) -> None:
    """Print a table for each collection, and where the figure and the runs are."""
    from cbir.console import line, table
    from cbir.evaluate.run import headline

    columns = [("LRAP@10", True), ("kept", True), ("mAP@10", True), ("kept", True), ("mAP", True)]
    for facts in made.as_json()["collections"]:
        name = f"{facts['collection']} ({facts['encoder']})"
        points = [("none", facts["undistorted"])]
        points += [(f"{p['distortion']}={p['strength']:g}", p) for p in facts["distorted"]]
        table(
            headline(name, facts["database"], facts["queries"], leave_one_out=facts["leave_one_out"]),
            [("distortion", False), *columns],
            [
                (
                    name,
                    f"{point['lrap_at_10']:.3f}",
                    _percent(point.get("kept")),
                    f"{point['map_at_10']:.3f}",
                    _percent(point.get("kept_map")),
                    f"{point['map']:.3f}",
                )
                for name, point in points
            ],
        )
    line("LRAP gives 1 to a query with no relevant image among the ten, mAP@10 gives 0: where they part, read mAP@10")
    line(f"figure  {made.figure}")
    line(f"runs    {made.folder}")


def _print_without_relevant(scores: Scores) -> None:
    from cbir.console import line

    if scores.without_relevant:
        line(f"{scores.without_relevant:,} queries have no image of their label in the collection: read mAP, not LRAP")


#: Depths of a comparison's table, and all.
_COMPARED = (10, 100, 1_000, 10_000)


def comparison_document(done: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON values; keys of depths are strings."""
    return {
        "source": done.source,
        "leave_one_out": done.leave_one_out,
        "rows": [{**asdict(row), "bytes_a_point": row.bytes_a_point, "folder": str(row.folder)} for row in done.rows],
        "failed": done.failed,
        "table": str(done.table),
        "curves": str(done.curves),
        "lineup": str(done.lineup),
    }


def comparison_markdown(done: Comparison) -> str:
    """Return a comparison as a Markdown table."""
    headings, rows = _comparison(done)
    lines = [[heading.replace("\n@", "@").replace("\n", " ") for heading in headings], ["---"] * len(headings), *rows]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return table + "".join(f"\n`{name}` failed: {reason}\n" for name, reason in done.failed.items())


def print_comparison(done: Comparison) -> None:
    """Print a comparison's table, and where its pictures are."""
    from cbir.console import line, table

    headings, rows = _comparison(done)
    table(done.title, [(heading, n > 0) for n, heading in enumerate(headings)], rows)
    for name, reason in done.failed.items():
        line(f"{name} failed: {reason}")
    _print_without_relevant(done.rows[0].scores)
    line(f"curves  {done.curves}")
    line(f"lineup  {done.lineup}")


def _comparison(done: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of cells; an encoder that failed has empty ones."""
    depths = [n for n in _COMPARED if all(n < max(row.scores.lrap) for row in done.rows)]
    headings = ["encoder", *(f"LRAP\n@{n:,}" for n in depths), "LRAP\n@all", "mAP", "precision\n@1", "precision\n@10"]
    headings += ["values", "bytes\na point", "train\nseconds", "images/s\nencoded"]
    rows = []
    for row in done.rows:
        scores = row.scores
        precision = scores.precision_at
        measures = [*(scores.lrap[n] for n in depths), scores.lrap[max(scores.lrap)], scores.map]
        measures += [precision[1], precision[min(10, max(precision))]]
        trained = "" if row.train_seconds is None else f"{row.train_seconds:,.1f}"
        costs = [f"{row.values:,}", f"{row.bytes_a_point:,}", trained, f"{row.images_per_second:,.0f}"]
        rows.append([row.encoder, *(f"{measure:.3f}" for measure in measures), *costs])
    return headings, rows + [[name, *[""] * (len(headings) - 1)] for name in done.failed]


def transfer_document(done: Transferred) -> dict[str, Any]:
    """Return what a transfer did as JSON values."""
    return asdict(done)


def print_transfer(done: Transferred) -> None:
    """Tell what went where, and what was checked."""
    from cbir.console import line

    line(f"from        {done.source}")
    line(f"to          {done.target}")
    line(f"collection  {done.collection}: {done.copied:,} points copied, {done.unchanged:,} were there already")
    line(f"checked     {done.points:,} points counted, {done.compared:,} vectors compared")
    if done.more:
        line(f"            {done.more:,} points of the target are not in the source; they stay")


def snapshot_document(made: Snapshot) -> dict[str, Any]:
    """Return a snapshot as JSON values."""
    return {**asdict(made), "path": str(made.path)}


def encoders_document() -> list[dict[str, Any]]:
    """Return the registry as JSON values."""
    from cbir.model.registry import DEFAULT, encoders

    return [
        {"name": k.name, "default": k.name == DEFAULT, "learns_from": k.learns_from, "line": k.line} for k in encoders()
    ]


def print_encoders() -> None:
    """Print a table of the registry."""
    from cbir.console import table

    rows = [
        (f"{e['name']} (default)" if e["default"] else e["name"], e["learns_from"], e["line"])
        for e in encoders_document()
    ]
    table("", [("encoder", False), ("learns from", False), ("", False)], rows)


def overview_document(seen: Overview) -> dict[str, Any]:
    """Return collections and models as JSON values; sizes are null while a collection is in use."""
    return {
        "home": str(seen.home),
        "location": seen.location,
        "default": seen.default,
        "collections": [
            {
                "name": c.name,
                "path": str(c.path) if c.path else None,
                "points": c.info.points if c.info else None,
                "indexed": c.info.indexed if c.info else None,
                "bytes": c.info.bytes if c.info else None,
                "problem": c.problem or None,
                **({} if c.metadata is None else asdict(c.metadata)),
            }
            for c in seen.collections
        ],
        "models": [{"name": b.name, "path": str(b.path), **b.card} for b in seen.models],
    }


def print_overview(seen: Overview) -> None:
    """Print tables of collections and models."""
    from cbir.console import line, size, table

    line(f"home  {seen.home}")
    if not seen.collections:
        line(f"no collection yet in {seen.location}; make one with: cbir ingest")
    else:
        rows = []
        for c in seen.collections:
            name = f"{c.name} (default)" if c.name == seen.default else c.name
            points = f"{c.info.points:,}" if c.info else "?"
            taken = "?" if c.info is None else "" if c.info.bytes is None else size(c.info.bytes)
            facts = (c.metadata.dimension, c.metadata.model, ", ".join(c.metadata.sources)) if c.metadata else ("",) * 3
            rows.append((name, points, taken, *facts))
        columns = [("name", False), ("points", True), ("size", True), ("values", True)]
        table(f"collections in {seen.location}", [*columns, ("model", False), ("source", False)], rows)
        for c in seen.collections:
            if c.problem:
                line(f"{c.name}: {c.problem}")
    if seen.models:
        models = [
            (b.name, b.kind, b.fingerprint, b.dimension, b.card.get("trained_on") or "", _epochs(b.card) or "")
            for b in seen.models
        ]
        table(
            "models",
            [
                ("name", False),
                ("encoder", False),
                ("fingerprint", False),
                ("values", True),
                ("trained on", False),
                ("epochs", True),
            ],
            models,
        )


def _epochs(card: Mapping[str, Any]) -> int:
    """Count the epochs a model was trained for; 0 for one that was not trained, or elsewhere."""
    return len((card.get("history") or {}).get("loss", ()))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
