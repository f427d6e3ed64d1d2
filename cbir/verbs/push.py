"""Copy a collection to a Qdrant server."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from cbir.collection.transfer import Transferred


def push(
    collection: str | None = None,
    *,
    qdrant_url: str | None = None,
    quantization: str | None = None,
    on_disk: bool | None = None,
    shards: int | None = None,
    replicas: int | None = None,
    index: bool | None = None,
    progress: Progress = silent,
) -> Transferred:
    """Copy an embedded collection to a server; run again to continue or to update the copy.

    Parameters
    ----------
    collection : str, optional
        By default the only embedded one, else the one ingested last.
    qdrant_url : str, optional
        By default `QDRANT_URL`.
    quantization, on_disk, shards, replicas
        As for `cbir.ingest`.
    index : bool, optional
        Index everything, or nothing; by default as the server decides.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).

    Returns
    -------
    Transferred

    Raises
    ------
    CbirError
        What went wrong and what to do about it, in one or two sentences.
    """
    from cbir.collection.indexing import build_index
    from cbir.collection.layout import Layout
    from cbir.collection.transfer import transfer

    settings = read_settings(qdrant_url=qdrant_url)
    layout = Layout(quantization, on_disk, shards, replicas)
    with closing(home.embedded_engine(settings)) as source, closing(home.served_engine(settings, layout)) as target:
        name = home.collection_or_default(source, collection)
        home.warn_of_unused_layout(layout, name, target)
        with target.writing(name):
            done = transfer(source, target, name, progress, index=index)
            build_index(target, name, index, progress)
    return done
