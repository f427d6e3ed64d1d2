"""A scored run: the run, its scores, and the folder that holds both and the curve.

In: a run. Out: an `Evaluation`, written to disk.
"""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cbir.core.atomic import write_atomic
from cbir.core.disk import disk_errors
from cbir.core.errors import CbirWarning
from cbir.core.stored import json_text
from cbir.evaluate.draw.canvas import INSTALL, can_draw
from cbir.evaluate.draw.curve import curve
from cbir.evaluate.run import Run, run_title, save_run
from cbir.evaluate.scores import Scores, score
from cbir.search.options import RankingOptions


@dataclass(frozen=True)
class Evaluation:
    """A scored run.

    Attributes
    ----------
    run : Run
    scores : Scores
    run_file : Path
        The stored run.
    folder : Path
        Holds `scores.json` and the curve.
    curve : Path or None
        The score curve, a PNG; None if matplotlib is not installed.
    """

    run: Run
    scores: Scores
    run_file: Path
    folder: Path
    curve: Path | None

    def as_json(self) -> dict[str, Any]:
        """Return the scores as JSON values; keys of depths are strings."""
        table = _string_keys(asdict(self.scores))
        queries = table.pop("queries")
        return {
            "collection": self.run.collection,
            "database": self.run.database,
            "queries": queries,
            **table,
            "leave_one_out": bool(self.run.about.get("leave_one_out")),
            "queries_from": self.run.about.get("queries_from"),
            **{name: self.run.about.get(name, default) for name, default in RankingOptions().ranking.items()},
            "smooth": self.run.about.get("smooth", 0),
            "seed": self.run.about.get("seed"),
            "fingerprint": self.run.about.get("fingerprint"),
            "distortion": self.run.about.get("distortion"),
            "run": str(self.run_file),
            "curve": None if self.curve is None else str(self.curve),
        }


def store_evaluation(
    run: Run, folder: Path, depths: Sequence[int] | None = None, path: Path | None = None
) -> Evaluation:
    """Score a run and write run, scores and, if matplotlib is installed, the curve.

    Parameters
    ----------
    run : Run
    folder : Path
        Made if it is not there.
    depths : sequence of int, optional
        The article's by default.
    path : Path, optional
        Where the run is stored already.
    """
    with disk_errors(folder):
        if path is None:
            path = folder / "run.npz"
            save_run(run, path)
        scores = score(run, depths)
        evaluation = Evaluation(run, scores, path, folder, folder / "curve.png" if can_draw() else None)
        document = json_text(evaluation.as_json(), indent=2) + "\n"
        write_atomic(folder / "scores.json", document.encode())
        if evaluation.curve is None:
            warnings.warn(f"no curve was drawn: drawing needs matplotlib; {INSTALL}", CbirWarning, stacklevel=2)
        else:
            write_atomic(evaluation.curve, curve(scores, run_title(run.collection, run.database, len(run))))
    return evaluation


def new_run_folder(runs: Path, name: str) -> Path:
    """Return a folder in `runs` for what is measured now."""
    return runs / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


def _string_keys(value: Any) -> Any:
    return {str(k): _string_keys(v) for k, v in value.items()} if isinstance(value, dict) else value
