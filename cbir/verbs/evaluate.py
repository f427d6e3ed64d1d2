"""Score a collection by the article's protocol."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from cbir.core.disk import expanded
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings
from cbir.verbs.open import open  # noqa: A004

if TYPE_CHECKING:
    from cbir.evaluate.evaluation import Evaluation
    from cbir.evaluate.options import EvaluationKeywords


def evaluate(
    collection: str | None = None,
    *,
    depths: Sequence[int] | None = None,
    queries_from: str | Path | None = None,
    from_run: str | Path | None = None,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
    **options: Unpack[EvaluationKeywords],
) -> Evaluation:
    """Search held-out queries, store the run, score it, draw the curve.

    Parameters
    ----------
    collection : str, optional
        By default the only one, else the one ingested last.
    depths : sequence of int, optional
        Numbers of results to score at; by default the article's.
    queries_from : str or Path, optional
        A folder or archive with one folder of pictures per class, or a dataset: the queries. By default those that the
        collection's sources hold back, else stored pictures, each left out of its own ranking.
    from_run : str or Path, optional
        Score this stored run (or its folder) again, into a new folder; nothing is searched, and only depths
        may be given.
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).
    queries : int
        The most queries, 1,000 by default.
    seed : int
        Chooses the queries.
    expand, rerank
        Search as `cbir.search.searcher.Searcher.search` does with these.

    Returns
    -------
    Evaluation

    Raises
    ------
    NoLabelsError
        No stored image has a label; `cbir.evaluate_copies` needs none.
    CbirError
        No queries, no such run.
    """
    from cbir.evaluate.evaluation import new_run_folder, store_evaluation
    from cbir.evaluate.heldout import held_out_queries, warn_of_leakage
    from cbir.evaluate.labels import require_labels
    from cbir.evaluate.options import EvaluationOptions, require_no_options
    from cbir.evaluate.protocol import evaluate as search_queries
    from cbir.evaluate.run import load_run
    from cbir.evaluate.scores import check_depths

    validated_options = EvaluationOptions(**options)
    settings = read_settings(data_dir, qdrant_url)
    wanted = None if depths is None else [operator.index(depth) for depth in depths]
    check_depths(wanted or ())
    path = None
    if from_run is not None:
        require_no_options(from_run, {"collection": collection, "queries_from": queries_from, **options})
        path = expanded(from_run).absolute()
        path = path / "run.npz" if path.is_dir() else path
        run = load_run(path)
    else:
        with open(collection, qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
            require_labels(searcher)
            named = None if queries_from is None else str(queries_from)
            held_out = held_out_queries(searcher, settings, named)
            run = search_queries(searcher, held_out, validated_options, progress=progress)
            run.about["queries_from"] = named
            warn_of_leakage(searcher, run)
    # A file may come from anywhere: what it calls its collection names no folder.
    folder = new_run_folder(settings.runs, run.collection if from_run is None else "rescored")
    return store_evaluation(run, folder, wanted, path)
