"""Compare encoders on one source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cbir.collection import home
from cbir.core.disk import disk_errors, expanded, require_folder_of
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from cbir.evaluate.compare.comparison import Comparison
    from cbir.evaluate.compare.saved import Written
    from cbir.evaluate.options import EvaluationOptions

#: A kind of comparison.
C = TypeVar("C", bound="Written")


def compare(
    source: str | Path = "digits",
    encoders: Sequence[str] = (),
    *,
    options: Mapping[str, Any] | None = None,
    queries: int = 1000,
    seed: int = 0,
    training_seed: int | None = None,
    limit: int | None = None,
    save: str | Path | None = None,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Compare encoders: train, ingest and evaluate those that have not been yet, and make one table.

    Parameters
    ----------
    source : str or Path
        `digits`, `mnist`, `fashion-mnist`, or a folder of pictures with labels.
    encoders : sequence of str
        Names, each with options if any, such as `autoencoder:epochs=5,seed=1`, or ONNX files; by default all that
        fit the source and need no download.
    options : Mapping, optional
        More options, such as `{"epochs": 5}`, for each encoder that has them.
    queries : int
        The most queries.
    seed : int
        Random seed for choosing queries.
    training_seed : int, optional
        Seed of the encoders that have one; by default each encoder's own.
    limit : int, optional
        Ingest at most this many images.
    save : str or Path, optional
        Folder to copy the table and the pictures to.
    qdrant_url : str, optional
        Fill collections on this Qdrant server; by default `QDRANT_URL`, else they are embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).

    Returns
    -------
    Comparison
        An encoder that fails is in its `failed`, and does not stop the others.

    Raises
    ------
    UnlabelledError
        The source has no labels; `cbir.compare_copies` needs none.
    CbirError
        No such source or encoder, or not one encoder gave a row.
    """
    from cbir.evaluate.compare.comparison import compare_encoders
    from cbir.evaluate.options import EvaluationOptions

    return compared(
        compare_encoders,
        EvaluationOptions(queries=queries, seed=seed),
        source,
        encoders,
        {**(options or {}), "seed": training_seed},
        limit=limit,
        save=save,
        qdrant_url=qdrant_url,
        data_dir=data_dir,
        progress=progress,
    )


def compared(
    way: Callable[..., C],
    evaluation: EvaluationOptions,
    source: str | Path,
    encoders: Sequence[str],
    options: Mapping[str, Any],
    *,
    limit: int | None,
    save: str | Path | None,
    qdrant_url: str | None,
    data_dir: str | Path | None,
    progress: Progress,
) -> C:
    """Compare encoders in a way such as `cbir.evaluate.compare.comparison.compare_encoders`."""
    from cbir.evaluate.compare.saved import copy_comparison
    from cbir.ingest.sources.catalogue import open_source
    from cbir.ingest.sources.source import limited

    if save is not None:
        require_folder_of(Path(save))  # the folder itself is made
    settings = read_settings(data_dir, qdrant_url)
    opened = limited(open_source(str(source), settings.data, settings.cache, progress=progress), limit)
    with closing(home.open_engine(settings)) as engine, disk_errors(settings.home):
        comparison = way(opened, encoders, options, engine, settings, evaluation, limit=limit, progress=progress)
    if save is not None:
        copy_comparison(comparison, expanded(save).absolute())
    return comparison
