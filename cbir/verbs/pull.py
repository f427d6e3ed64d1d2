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
    quantization: str | None = None,
    on_disk: bool | None = None,
    progress: Progress = silent,
) -> Transferred:
    """Copy a server's collection into CBIR_HOME; run again to continue or to update the copy.

    Parameters
    ----------
    collection : str, optional
        By default the server's only one of cbir, else the one ingested last.
    qdrant_url : str, optional
        By default `QDRANT_URL`.
    index : bool, optional
        Build the HNSW index, or do not; by default only for large collections.
    quantization, on_disk
        As for `cbir.ingest`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).

    Returns
    -------
    Transferred
    """
    from cbir.collection.indexing import build_index
    from cbir.collection.layout import Layout
    from cbir.collection.transfer import transfer
    from cbir.model.bundles import bundle_path

    settings = read_settings(qdrant_url=qdrant_url)
    layout = Layout(quantization, on_disk)
    with (
        closing(home.served_engine(settings)) as source,
        closing(home.embedded_engine(settings, layout)) as target,
        disk_errors(settings.home),
    ):
        name = home.collection_or_default(source, collection)
        home.warn_of_unused_layout(layout, name, target, f"remove it (cbir remove {name}) and pull it again")
        with target.writing(name):
            done = transfer(source, target, name, progress, index=index)
            build_index(target, name, index, progress)
        model = bundle_path(settings.models, target.metadata(name).model)
    if not model.is_dir():
        warnings.warn(
            "the model that filled the collection is not on this machine. To search it by picture, copy the model's "
            f"folder to {model}.",
            CbirWarning,
            stacklevel=2,
        )
    return done
