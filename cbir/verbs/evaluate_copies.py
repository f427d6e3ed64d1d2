"""Score a collection without labels: search for edited copies of its own pictures."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from cbir.core.errors import CbirWarning
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings
from cbir.verbs.open import open  # noqa: A004

if TYPE_CHECKING:
    from cbir.evaluate.copies.result import Copies
    from cbir.evaluate.options import EvaluationKeywords


def evaluate_copies(
    collection: str | None = None,
    distort: Sequence[str] = (),
    *,
    from_run: str | Path | None = None,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
    **options: Unpack[EvaluationKeywords],
) -> Copies:
    """Edit stored pictures as people do, search for the originals, store the run, draw the worst misses.

    An original counts as found if an identical picture that is stored too is found.

    Parameters
    ----------
    collection : str, optional
        By default the only one, else the one ingested last.
    distort : sequence of str
        Ways to edit, as `cbir.evaluate_distorted` takes them; by default those that people use
        (`cbir.model.distortion.COPIES`).
    from_run : str or Path, optional
        Read this stored run (or its folder) again; nothing is searched, and nothing else may be given.
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).
    queries : int
        The most pictures to edit, 200 by default.
    seed : int
        Chooses the pictures, and what is random in their edits.
    expand, rerank
        Search as `cbir.search.searcher.Searcher.search` does with these.

    Returns
    -------
    Copies

    Raises
    ------
    CbirError
        Fewer than two images, none of the pictures can be opened, no such distortion or run.
    """
    from cbir.evaluate.copies.measure import measure_copies
    from cbir.evaluate.copies.result import read_copies, store_copies
    from cbir.evaluate.evaluation import new_run_folder
    from cbir.evaluate.options import CopiesOptions, require_no_options
    from cbir.model.distortion import COPIES, distortions

    validated_options = CopiesOptions(**options)
    if from_run is not None:
        require_no_options(from_run, {"collection": collection, "distort": distort, **options})
        return read_copies(Path(from_run))
    named = [distort] if isinstance(distort, str) else distort
    edits = [(str(way), way) for way in distortions(named)] or list(COPIES)
    settings = read_settings(data_dir, qdrant_url)
    with open(collection, qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
        run = measure_copies(searcher, edits, validated_options, progress=progress)
        made = store_copies(run, edits, searcher, new_run_folder(settings.runs, f"{run.collection}-copies"))
    if run.unreadable:
        left_out = f"{len(run.unreadable):,} of {len(run.unreadable) + len(run):,} pictures"
        message = f"{left_out} can no longer be opened and were left out (the first: {run.unreadable[0][1]})"
        warnings.warn(message, CbirWarning, stacklevel=2)
    return made
