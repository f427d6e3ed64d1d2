"""Copy a collection from a Qdrant server."""

from __future__ import annotations

import warnings
from contextlib import closing
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.disk import disk_errors
from cbir.core.errors import CbirWarning
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from cbir.collection.transfer import Transferred


def pull(
    collection: str | None = None,
    *,
    qdrant_url: str | None = None,
    index: bool | None = None,
    progress: Progress = silent,
) -> Transferred:
    """Copy a server's collection into CBIR_HOME; again, to go on or to bring it up to date.

    Parameters
    ----------
    collection : str, optional
        By default the only one of cbir's on the server, else the one ingested last.
    qdrant_url : str, optional
        By default `QDRANT_URL`.
    index : bool, optional
        Build the HNSW index or do not; by default when it pays.
    progress : callable

    Returns
    -------
    Transferred
    """
    from cbir.collection.indexing import build_index
    from cbir.collection.transfer import transfer

    settings = read_settings(qdrant_url=qdrant_url)
    with (
        closing(home.served_engine(settings)) as source,
        closing(home.embedded_engine(settings)) as target,
        disk_errors(settings.home),
    ):
        name = home.collection_or_default(source, collection)
        with target.writing(name):
            done = transfer(source, target, name, progress)
            build_index(target, name, index, progress)
        model = settings.models / target.metadata(name).model
    if not model.is_dir():
        warnings.warn(
            f"the model that filled it is not here; to search it by picture, copy the model's folder to {model}",
            CbirWarning,
            stacklevel=2,
        )
    return done
