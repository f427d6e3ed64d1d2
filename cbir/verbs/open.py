"""Open a collection to search it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from cbir.search.searcher import Searcher


def open(  # noqa: A001
    collection: str | None = None,
    *,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
) -> Searcher:
    """Open a collection to search it.

    Parameters
    ----------
    collection : str, optional
        By default the only one, else the one ingested last.
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`, for queries such as `mnist:test/7`; also `CBIR_DATA`.
    progress : Progress
        Called while what encodes words is downloaded, at the first search by words (see `cbir.core.progress`).

    Returns
    -------
    cbir.search.searcher.Searcher
        Close it, or use it in a `with`.

    Raises
    ------
    CbirError
        No such collection, or its model is missing.
    """
    from cbir.ingest.sources.catalogue import picture_opener
    from cbir.model.bundles import bundle_of
    from cbir.search.searcher import Searcher

    settings = read_settings(data_dir, qdrant_url)
    engine = home.open_engine(settings)
    try:
        with home.asked_briefly(engine):
            name = home.collection_or_default(engine, collection)
            metadata = engine.metadata(name)
        bundle = bundle_of(settings.models, name, metadata.model, metadata.fingerprint)
        return Searcher(engine, name, bundle, picture_opener(settings.data, settings.cache), progress)
    except BaseException:
        engine.close()
        raise
