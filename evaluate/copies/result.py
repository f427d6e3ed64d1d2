"""What searching for edited copies gave, with the folder that holds it and the picture of the worst misses.

In: a run. Out: a `Copies`, written to disk or read from there.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cbir.core.atomic import write_atomic
from cbir.core.disk import disk_errors, expanded
from cbir.core.stored import json_text
from cbir.evaluate.copies.run import DEPTH, CopiesRun, Row, load_copies, save_copies
from cbir.evaluate.draw.misses import misses_picture, worst
from cbir.model.distortion import Distortion
from cbir.search.options import RankingOptions
from cbir.search.searcher import Searcher
from cbir.search.sheet import save_picture


@dataclass(frozen=True)
class Copies:
    """How often the original of an edited copy is found.

    Attributes
    ----------
    run : CopiesRun
    run_file : Path
        The stored run.
    misses : Path or None
        The worst misses, a PNG; None if there is no miss, or the picture is not beside the run.
    """

    run: CopiesRun
    run_file: Path
    misses: Path | None

    @property
    def rows(self) -> tuple[Row, ...]:
        """The table, a row for each edit."""
        return self.run.rows

    @property
    def mean(self) -> Row:
        """The mean of the rows."""
        return self.run.mean

    def as_json(self) -> dict[str, Any]:
        """Return the table and the worst misses as JSON values."""
        run = self.run
        return {
            "collection": run.collection,
            "database": run.database,
            "pictures": len(run),
            "depth": min(DEPTH, run.database),
            "rows": [
                {**asdict(row), "distortion": edit.distortion} for row, edit in zip(run.rows, run.edits, strict=True)
            ],
            "mean": {"first": run.mean.first, "among_ten": run.mean.among_ten},
            "worst": [
                {
                    "edit": run.edits[miss.edit].name,
                    "original": run.pictures[miss.picture].uri,
                    "place": place + 1 if (place := int(run.places[miss.picture, miss.edit])) >= 0 else None,
                    "first": miss.found.uri,
                }
                for miss in worst(run)
            ],
            "unreadable": [{"uri": uri, "reason": reason} for uri, reason in run.unreadable],
            **{name: run.about.get(name, default) for name, default in RankingOptions().ranking.items()},
            "smooth": run.about.get("smooth", 0),
            "seed": run.about.get("seed"),
            "fingerprint": run.about.get("fingerprint"),
            "misses": None if self.misses is None else str(self.misses),
            "run": str(self.run_file),
        }


def store_copies(run: CopiesRun, edits: Sequence[tuple[str, Distortion]], searcher: Searcher, folder: Path) -> Copies:
    """Write a run, its table and the picture of its worst misses.

    Parameters
    ----------
    run : CopiesRun
    edits : sequence of (str, Distortion)
        As it was measured with.
    searcher : Searcher
        Of the run's collection.
    folder : Path
        Made if it is not there.
    """
    with disk_errors(folder):
        made = Copies(run, folder / "copies.npz", folder / "misses.png" if run.misses else None)
        save_copies(run, made.run_file)
        if made.misses is not None:
            save_picture(misses_picture(run, worst(run), dict(edits), searcher), made.misses)
        document = json_text(made.as_json(), indent=2) + "\n"
        write_atomic(folder / "scores.json", document.encode())
    return made


def read_copies(path: Path) -> Copies:
    """Read a stored run, or a folder that holds one; RunError if there is none or it is damaged."""
    path = copies_file(path)
    run = load_copies(path)
    picture = path.parent / "misses.png"
    return Copies(run, path, picture if run.misses and picture.is_file() else None)


def copies_file(path: Path) -> Path:
    """Return the file of a run that is named by its folder or itself."""
    path = expanded(path).absolute()
    return path / "copies.npz" if path.is_dir() else path
