"""The README's tables and figures of encoders, made by one command.

`make figures`, or `python -m benchmarks figures [PART ...]`. What was measured
before is kept in bench-results/figures and not measured again, so that it can
be interrupted; all of it takes some hours on two cores. Writes docs/figures/: a
Markdown table for each part, and the pictures; then puts the tables into the
pages that show them.
"""

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

import cbir
from benchmarks import photograph_strip, photographs
from benchmarks.setting import home, mnist, unpacked
from cbir.collection.point import Hit
from cbir.evaluate.compare.comparison import Comparison
from cbir.evaluate.compare.row import Row
from cbir.evaluate.scores import Scores
from cbir.model.registry import encoders

OUT = Path("docs/figures")
#: Where the tables are shown.
PAGES = (Path("README.md"), Path("docs/encoders.md"))
SEEDS = (0, 1, 2)
#: Those whose seeds are compared: the article's, and ours.
HEADLINE = ("autoencoder", "contrastive")
#: Below the registry's: ours with more work, and the paper's shorter code.
BELOW = {"contrastive": "contrastive:preset=quality", "deep-autoencoder": "deep-autoencoder:bits=28"}
ALL = [label for kind in encoders() if kind.self_contained for label in (kind.name, BELOW.get(kind.name)) if label]
DISTORTIONS = (
    "rotate=15,30,45,90",
    "scale=0.5,0.75,1.5",
    "shift",
    "blur",
    "noise",
    "colour",
    "jpeg",
)
DEPTHS = (10, 100, 1_000, 10_000, 60_000)


def main(parts: Sequence[str] = ()) -> None:
    """Make all parts, or those named."""
    known: dict[str, Callable[[], None]] = {
        "digits": lambda: compared("digits"),
        "cifar10-mini": lambda: compared(unpacked("cifar10-mini")),
        "mnist": lambda: compared("mnist"),
        "seeds": seeds,
        "distortions": lambda: distortions("mnist", "distortions"),
        "distortions-colour": lambda: distortions(unpacked("cifar10-mini"), "distortions-colour", "color-histogram"),
        "gains": gains,
        "pruning": pruning,
        "copies": copies,
        "photographs": lambda: photograph_strip.draw(OUT / "photographs" / "strip.webp"),
    }
    if unknown := [part for part in parts if part not in known]:
        sys.exit(f"no figure {', '.join(unknown)}; there are {', '.join(known)}")
    with home("figures"):
        for part in parts or known:
            print(part, file=sys.stderr, flush=True)
            known[part]()
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


def filled(page: str) -> str:
    """Put the tables into a page, each between `<!-- table: NAME -->` and `<!-- end -->`."""

    def shown(match: re.Match[str]) -> str:
        table = OUT / match["name"] / "table.md"
        return match["start"] + (table.read_text(encoding="utf-8") if table.exists() else match["old"]) + match["end"]

    return re.sub(
        r"(?P<start><!-- table: (?P<name>\S+) -->\n)(?P<old>.*?)(?P<end><!-- end -->)", shown, page, flags=re.DOTALL
    )


def compared(source: str | Path) -> None:
    """Compare encoders and keep table, curves and line-up."""
    made = complete(cbir.compare(source, ALL))
    place = OUT / Path(source).name
    place.mkdir(parents=True, exist_ok=True)
    for path in (made.table, made.curves):
        (place / path.name).write_bytes(path.read_bytes())
    with Image.open(made.lineup) as lineup:  # photographs as a PNG would be megabytes
        lineup.convert("RGB").save(place / "lineup.webp", quality=80)


def complete(made: Comparison) -> Comparison:
    """Refuse a comparison that lacks a row: no table is to be published without it."""
    if made.failed:
        sys.exit("; ".join(f"{encoder}: {reason}" for encoder, reason in made.failed.items()))
    return made


def seeds() -> None:
    """Mean and spread over the training's seeds, on MNIST."""
    lines = []
    for encoder in HEADLINE:
        labels = [encoder if seed == 0 else f"{encoder}:seed={seed}" for seed in SEEDS]
        measured = np.array([measures(row) for row in complete(cbir.compare("mnist", labels)).rows])
        spread = measured.std(axis=0, ddof=1)  # three are a sample
        lines.append([encoder, *(f"{m:.3f} ± {s:.3f}" for m, s in zip(measured.mean(axis=0), spread, strict=True))])
    headings = [*(f"LRAP@{depth:,}" for depth in DEPTHS), "mAP@5,000", "precision@1"]
    write("seeds", ["encoder, three seeds", *headings], lines)


def measures(row: Row[Scores]) -> list[float]:
    scores = row.scores
    return [*(scores.lrap[depth] for depth in DEPTHS), scores.map_at[5_000], scores.precision_at[1]]


def distortions(source: str | Path, name: str, *more: str) -> None:
    """What distorted queries keep of LRAP@10 and mAP@10."""
    rows = complete(cbir.compare(source, ["contrastive", "autoencoder", "pixels", *more])).rows
    made = cbir.evaluate_distorted([row.collection for row in rows], DISTORTIONS)
    place = OUT / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "robustness.png").write_bytes(made.figure.read_bytes())
    document = made.as_json()["collections"]
    lines = [
        [str(distortion), *(kept(facts["distorted"][n]) for facts in document)]
        for n, distortion in enumerate(made.distortions)
    ]
    plain = ["none", *(kept(facts["undistorted"]) for facts in document)]
    write(name, ["LRAP@10 (kept), mAP@10", *(facts["encoder"] for facts in document)], [plain, *lines])


def kept(point: dict[str, float]) -> str:
    share = f" ({point['kept']:.0%})" if "kept" in point else ""
    return f"{point['lrap_at_10']:.3f}{share}, {point['map_at_10']:.3f}"


def gains() -> None:
    """What query expansion, re-ranking and smoothing give, and what they cost, on MNIST."""
    ways: dict[str, dict[str, object]] = {
        "as they are": {},
        "`--expand 20`": {"expand": 20},
        "`--rerank`": {"rerank": True},
        "`--expand 20 --rerank`": {"expand": 20, "rerank": True},
    }
    lines = []
    for row in complete(cbir.compare("mnist", HEADLINE)).rows:
        smoothed = f"{row.collection}-smooth"
        with cbir.open(row.collection) as searcher:
            model = searcher.bundle.path
        cbir.ingest("mnist", collection=smoothed, model=model, smooth=10)
        for way, options in ways.items():
            lines.append([row.encoder, way, *scored(row.collection, options), *searched(row.collection, options)])
        lines.append([row.encoder, "`--smooth 10`", *scored(smoothed, {}), *searched(smoothed, {})])
    headings = ["LRAP@10", "LRAP@1,000", "mAP", "precision@1", "ms a search"]
    write("gains", ["encoder", "", *headings], lines)


def scored(collection: str, options: dict[str, object]) -> list[str]:
    scores: Scores = cbir.evaluate(collection, depths=[1, 10, 1_000], **options).scores  # type: ignore[arg-type]
    return [f"{x:.3f}" for x in (scores.lrap[10], scores.lrap[1_000], scores.map, scores.precision_at[1])]


def searched(collection: str, options: Mapping[str, object], count: int = 100) -> list[str]:
    """Return the median milliseconds of a search."""
    return [f"{median(searches(collection, options, count)[0]) * 1000:.1f}"]


def searches(collection: str, options: Mapping[str, object], count: int) -> tuple[list[float], list[list[Hit]]]:
    """Search the first test images one by one; return seconds and hits."""
    times, found = [], []
    with cbir.open(collection) as searcher:
        for number in range(count):
            start = time.perf_counter()
            found.append(searcher.search(f"mnist:test/{number}", **options))  # type: ignore[arg-type]
            times.append(time.perf_counter() - start)
    return times, found


def pruning() -> None:
    """What is left when the short code prunes and the long code ranks, and how long that takes, on MNIST."""
    collection = complete(cbir.compare("mnist", ["deep-autoencoder"])).rows[0].collection
    whole = [{hit.id for hit in hits} for hits in searches(collection, {}, 1_000)[1]]
    labels = [item.label for item in mnist().queries()[:1_000]]
    lines = []
    for way, options in ("", {}), *((f"`--prune {radius}`", {"prune": radius}) for radius in (1, 2, 3)):
        times, found = searches(collection, options, 1_000)
        same = sum(hit.id in ids for hits, ids in zip(found, whole, strict=True) for hit in hits)
        right = [hit.label == label for hits, label in zip(found, labels, strict=True) for hit in hits]
        lines.append(
            [
                way or "the long code alone",
                f"{sum(map(len, found)) / len(found):.1f}",
                f"{same / sum(map(len, whole)):.3f}",
                f"{np.mean(right):.3f}",
                f"{np.median(times) * 1000:.1f}",
            ]
        )
    headings = ["search", "hits of 10", "of the long code's ten", "of them of the query's label", "ms a search"]
    write("pruning", headings, lines)


def copies() -> None:
    """How many edited copies of photographs find their originals, by the default before `photo` too."""
    entrants = (*photographs.COPIES, photographs.EARLIER)
    collections = [photographs.filled(photographs.photographs(), encoder) for encoder in entrants]
    write("copies", *photographs.copies_table(collections))


def write(name: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    (OUT / name).mkdir(parents=True, exist_ok=True)
    (OUT / name / "table.md").write_text("".join(f"| {' | '.join(line)} |\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1:])
