"""Score a collection's robustness against distorted queries."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings
from cbir.verbs.open import open  # noqa: A004

if TYPE_CHECKING:
    from cbir.evaluate.options import EvaluationKeywords
    from cbir.evaluate.robustness import Robustness


def evaluate_distorted(
    collections: str | Sequence[str],
    distort: Sequence[str],
    *,
    queries_from: str | Path | None = None,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
    **options: Unpack[EvaluationKeywords],
) -> Robustness:
    """Search held-out queries as they are and distorted, store the runs, score them, draw the figure.

    Parameters
    ----------
    collections : str or sequence of str
        All get the same queries, with the same random distortions.
    distort : sequence of str
        `NAME` for a distortion's usual strengths, or `NAME=A,B,...`: rotate and turn (degrees), scale and bright
        (factors), shift, crop, middle, resize, blur, text, frame and letterbox (shares), noise (a standard deviation),
        colour (a strength), jpeg (a quality). Without a strength: mirror, grey, screenshot, phone.
    queries_from : str or Path, optional
        As for `cbir.evaluate`.
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).
    queries, seed, expand, rerank
        As for `cbir.evaluate`; the seed also draws what is random in the distortions.

    Returns
    -------
    Robustness

    Raises
    ------
    NoLabelsError
        A collection has no labels; `cbir.evaluate_copies` needs none.
    CbirError
        No such distortion or strength; no queries.
    """
    from cbir.evaluate.labels import NoLabelsError, has_labels, require_images
    from cbir.evaluate.options import EvaluationOptions
    from cbir.evaluate.robustness import measure_robustness
    from cbir.model.distortion import distortions

    settings = read_settings(data_dir, qdrant_url)
    names = [collections] if isinstance(collections, str) else list(dict.fromkeys(collections))
    wanted = distortions([distort] if isinstance(distort, str) else distort)
    if not names or not wanted:
        raise CbirError("name at least one collection and one distortion, such as rotate=15,30")
    open_searcher = partial(open, qdrant_url=qdrant_url, data_dir=data_dir)
    unlabelled = []
    for name in names:  # a misspelled one is reported before the others are searched
        with open_searcher(name) as searcher:
            require_images(searcher)
            if not has_labels(searcher):
                unlabelled.append(name)
    if unlabelled:
        raise NoLabelsError(unlabelled)
    return measure_robustness(
        names,
        wanted,
        open_searcher,
        settings,
        EvaluationOptions(**options),
        queries_from=None if queries_from is None else str(queries_from),
        progress=progress,
    )
