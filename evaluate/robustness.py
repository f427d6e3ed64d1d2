"""Robustness of collections: the same queries as they are and distorted, score by score.

In: collections' names and distortions. Out: scores, stored runs, and a figure
with a line for each collection.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cbir.core.atomic import write_atomic
from cbir.core.disk import disk_errors
from cbir.core.progress import Progress, silent
from cbir.core.settings import Settings
from cbir.core.stored import json_text
from cbir.evaluate.draw.canvas import require_drawing
from cbir.evaluate.draw.robustness import DEPTH, Line, average_precision, figure, lrap, retained
from cbir.evaluate.evaluation import new_run_folder
from cbir.evaluate.heldout import held_out_queries, warn_of_leakage
from cbir.evaluate.options import EvaluationOptions
from cbir.evaluate.protocol import evaluate_distorted as search_distorted
from cbir.evaluate.run import save_run
from cbir.evaluate.scores import Means, Scores, score
from cbir.model.distortion import Distortion
from cbir.search.searcher import Searcher


@dataclass(frozen=True)
class Robustness:
    """Scores of distorted queries.

    Attributes
    ----------
    lines : tuple of Line
        One for each collection.
    about : tuple of dict
        Of each: its name, encoder, size, and the options of the evaluation.
    folder : Path
        Holds `robustness.png`, `scores.json`, and each collection's runs in a folder of its name.
    """

    lines: tuple[Line, ...]
    about: tuple[dict[str, Any], ...]
    folder: Path

    @property
    def distortions(self) -> tuple[Distortion, ...]:
        """What the queries were distorted by, in the order of `as_json`."""
        return tuple(self.lines[0].distorted)

    @property
    def figure(self) -> Path:
        """Score against strength, a PNG."""
        return self.folder / "robustness.png"

    def as_json(self) -> dict[str, Any]:
        """Return the scores as JSON values."""
        collections = [
            {
                **about,
                "undistorted": self._point(about, line.undistorted, None),
                "distorted": [
                    {
                        "distortion": distortion.kind.name,
                        "strength": distortion.strength if distortion.kind.unit else None,
                        **_kept(scores, line.undistorted),
                        **self._point(about, scores, distortion, line.undistorted.answerable),
                    }
                    for distortion, scores in line.distorted.items()
                ],
            }
            for about, line in zip(self.about, self.lines, strict=True)
        ]
        return {"collections": collections, "figure": str(self.figure)}

    def _point(
        self, about: dict[str, Any], scores: Scores, distortion: Distortion | None, undistorted: Means | None = None
    ) -> dict[str, Any]:
        some = scores.answerable
        kept = {} if some is None or undistorted is None else _kept(some, undistorted)
        return {
            **_measures(scores),
            "answerable": None if some is None else {**kept, **_measures(some)},
            "run": str(_run_file(self.folder, about["collection"], None if distortion is None else str(distortion))),
        }


def _measures(scores: Means) -> dict[str, float]:
    return {"lrap_at_10": lrap(scores), "map_at_10": average_precision(scores), "map": scores.map}


def _kept(scores: Means, undistorted: Means) -> dict[str, float]:
    return {
        "kept": retained(scores, undistorted),
        "kept_map": retained(scores, undistorted, average_precision),
    }


def measure_robustness(
    collections: Sequence[str],
    distortions: Sequence[Distortion],
    open_searcher: Callable[[str], Searcher],
    settings: Settings,
    options: EvaluationOptions,
    *,
    queries_from: str | None = None,
    progress: Progress = silent,
) -> Robustness:
    """Search held-out queries as they are and distorted, store the runs, score them, draw the figure.

    Parameters
    ----------
    collections : sequence of str
    distortions : sequence of Distortion
    open_searcher : callable
        Opens a collection by name.
    settings : Settings
    options : EvaluationOptions
        Its seed draws the queries, alike for all collections, and what is random in the distortions.
    queries_from : str, optional
        Where the queries are, as for `held_out_queries`.
    progress : Progress

    Raises
    ------
    CbirError
        Matplotlib is not installed, or a collection cannot be evaluated.
    """
    require_drawing()
    folder = new_run_folder(settings.runs, "robustness")
    lines, about = [], []
    for name in collections:
        scored: list[Scores] = []
        with open_searcher(name) as searcher:
            held_out = held_out_queries(searcher, settings, queries_from)
            runs = search_distorted(searcher, held_out, distortions, options, progress=progress)
            for run in runs:
                run.about["queries_from"] = queries_from
                with disk_errors(folder):
                    save_run(run, _run_file(folder, name, run.about["distortion"]))
                scored.append(score(run, [DEPTH]))
            warn_of_leakage(searcher, run)
            undistorted, *rest = scored
            encoder = searcher.bundle.kind
            lines.append(Line(f"{name} ({encoder})", undistorted, dict(zip(distortions, rest, strict=True))))
        about.append(
            {
                "collection": name,
                "encoder": encoder,
                "database": run.database,
                "queries": len(run),
                "without_relevant": undistorted.without_relevant,
                "with_copies": undistorted.with_copies,
                "copies_left_out": undistorted.copies_left_out,
                **{
                    fact: run.about[fact]
                    for fact in ("leave_one_out", "queries_from", "seed", *options.ranking, "fingerprint")
                },
            }
        )
    made = Robustness(tuple(lines), tuple(about), folder)
    with disk_errors(folder):
        document = json_text(made.as_json(), indent=2) + "\n"
        write_atomic(folder / "scores.json", document.encode())
        counts = " or ".join(f"{count:,}" for count in dict.fromkeys(facts["queries"] for facts in about))
        write_atomic(made.figure, figure(lines, f"{counts} queries, distorted"))
    return made


def _run_file(folder: Path, collection: str, distortion: str | None) -> Path:
    return folder / collection / f"{distortion or 'undistorted'}.npz"
