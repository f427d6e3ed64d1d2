"""What collections withstand: the same queries as they are and distorted, score by score.

In: collections' names and distortions as the command line spells them. Out:
scores, stored runs, and a figure with a line for each collection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir import api
from cbir.core.atomic import write_atomic
from cbir.core.disk import disk_errors
from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.core.settings import settings

if TYPE_CHECKING:
    from cbir.evaluate.distortion import Distortion
    from cbir.evaluate.draw.robustness import Line
    from cbir.evaluate.scores import Scores


@dataclass(frozen=True)
class Robustness:
    """Scores of distorted queries.

    Attributes
    ----------
    lines : tuple of Line
        One for each collection.
    about : tuple of dict
        Of each: its name, encoder, size and how it was asked.
    folder : Path
        Holds `robustness.png`, `scores.json`, and each collection's runs in a folder of its name.
    """

    lines: tuple[Line, ...]
    about: tuple[dict[str, Any], ...]
    folder: Path

    @property
    def figure(self) -> Path:
        """Score against strength, a PNG."""
        return self.folder / "robustness.png"

    def as_json(self) -> dict[str, Any]:
        """Return the scores as JSON values."""
        from cbir.evaluate.draw.robustness import kept, mean_precision

        collections = [
            {
                **about,
                "undistorted": self._point(about, line.undistorted, None),
                "distorted": [
                    {
                        "distortion": distortion.kind.name,
                        "strength": distortion.strength,
                        "kept": kept(line, distortion),
                        "kept_map": kept(line, distortion, mean_precision),
                        **self._point(about, scores, distortion),
                    }
                    for distortion, scores in line.distorted.items()
                ],
            }
            for about, line in zip(self.about, self.lines, strict=True)
        ]
        return {"collections": collections, "figure": str(self.figure)}

    def _point(self, about: dict[str, Any], scores: Scores, distortion: Distortion | None) -> dict[str, Any]:
        from cbir.evaluate.draw.robustness import lrap, mean_precision

        return {
            "lrap_at_10": lrap(scores),
            "map_at_10": mean_precision(scores),
            "map": scores.map,
            "run": str(_run_file(self.folder, about["collection"], None if distortion is None else str(distortion))),
        }


def evaluate_distorted(
    collections: str | Sequence[str],
    distort: Sequence[str],
    *,
    queries: int = 1000,
    seed: int = 0,
    expand: int = 0,
    rerank: bool = False,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
) -> Robustness:
    """Search held-out queries as they are and distorted, store the runs, score them, draw the figure.

    Parameters
    ----------
    collections : str or sequence of str
        Those to ask, the same queries of each; what is random in a distortion is drawn alike for all.
    distort : sequence of str
        `NAME` for a distortion's usual strengths, or `NAME=A,B,...`: rotate (degrees), scale (a factor),
        shift and blur (shares of the width), noise (a standard deviation), colour (a strength), jpeg (a quality).
    queries : int
        The most queries.
    seed : int
        Draws the queries and what is random in the distortions.
    expand, rerank
        As for `cbir.evaluate`.
    qdrant_url : str, optional
        The server to ask; by default `QDRANT_URL`.
    data_dir : str or Path, optional
        Where `mnist` and `fashion-mnist` lie.
    progress : callable

    Returns
    -------
    Robustness

    Raises
    ------
    CbirError
        No such distortion or strength; no labels, no queries.
    """
    from cbir.evaluate.distortion import distortions
    from cbir.evaluate.draw.robustness import DEPTH, Line, figure
    from cbir.evaluate.protocol import evaluate_distorted as search_distorted
    from cbir.evaluate.run import save_run
    from cbir.evaluate.scores import score

    where = settings(data_dir, qdrant_url)
    names = [collections] if isinstance(collections, str) else list(dict.fromkeys(collections))
    wanted = distortions([distort] if isinstance(distort, str) else distort)
    if not names or not wanted:
        raise CbirError("name at least one collection and one distortion, such as rotate=15,30")
    for name in names:  # a mistyped one is to be told before the others are searched
        api.open(name, qdrant_url=qdrant_url, data_dir=data_dir).close()
    folder = api.run_folder(where, "robustness")
    lines, about = [], []
    for name in names:
        scored: list[Scores] = []
        with api.open(name, qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
            held_out = api.held_out(searcher, where)
            runs = search_distorted(
                searcher,
                held_out,
                wanted,
                queries=queries,
                seed=seed,
                expand=expand,
                rerank=rerank,
                progress=progress,
            )
            for run in runs:
                with disk_errors(folder):
                    save_run(run, _run_file(folder, name, run.about["distortion"]))
                scored.append(score(run, [DEPTH]))
            api.warn_of_own(searcher, run)
            undistorted, *rest = scored
            encoder = searcher.bundle.kind
            lines.append(Line(f"{name} ({encoder})", undistorted, dict(zip(wanted, rest, strict=True))))
        about.append(
            {
                "collection": name,
                "encoder": encoder,
                "database": run.database,
                "queries": len(run),
                **{fact: run.about[fact] for fact in ("leave_one_out", "seed", "expand", "rerank", "fingerprint")},
            }
        )
    made = Robustness(tuple(lines), tuple(about), folder)
    with disk_errors(folder):
        document = json.dumps(made.as_json(), indent=2, ensure_ascii=False) + "\n"
        write_atomic(folder / "scores.json", document.encode())
        asked = " or ".join(f"{count:,}" for count in dict.fromkeys(facts["queries"] for facts in about))
        write_atomic(made.figure, figure(lines, f"{asked} queries, distorted"))
    return made


def _run_file(folder: Path, collection: str, distortion: str | None) -> Path:
    return folder / collection / f"{distortion or 'undistorted'}.npz"
