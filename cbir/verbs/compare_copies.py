"""Compare encoders on one source without labels: by edited copies of its own pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.core.progress import Progress, silent
from cbir.verbs.compare import compared

if TYPE_CHECKING:
    from cbir.evaluate.compare.copies_comparison import CopiesComparison


def compare_copies(
    source: str | Path,
    encoders: Sequence[str] = (),
    *,
    options: Mapping[str, Any] | None = None,
    queries: int = 200,
    seed: int = 0,
    training_seed: int | None = None,
    limit: int | None = None,
    save: str | Path | None = None,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
) -> CopiesComparison:
    """Train, ingest and evaluate encoders as `cbir.compare` does, each as `cbir.evaluate_copies` does.

    Parameters
    ----------
    source : str or Path
        A folder of pictures, or any other source.
    queries : int
        The most pictures to edit.
    seed : int
        Chooses the pictures, and what is random in their edits.
    encoders, options, training_seed, limit, save, qdrant_url, data_dir, progress
        As for `cbir.compare`.

    Returns
    -------
    CopiesComparison
        An encoder that fails is in its `failed`, and does not stop the others.

    Raises
    ------
    CbirError
        No such source or encoder, or not one encoder gave a row.
    """
    from cbir.evaluate.compare.copies_comparison import compare_by_copies
    from cbir.evaluate.options import CopiesOptions

    return compared(
        compare_by_copies,
        CopiesOptions(queries=queries, seed=seed),
        source,
        encoders,
        {**(options or {}), "seed": training_seed},
        limit=limit,
        save=save,
        qdrant_url=qdrant_url,
        data_dir=data_dir,
        progress=progress,
    )
