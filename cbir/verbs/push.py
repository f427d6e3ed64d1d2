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
    on_disk: bool = False,
    shards: int | None = None,
    replicas: int | None = None,
    index: bool | None = None,
    progress: Progress = silent,
) -> Transferred:
    """Copy an embedded collection to a server; again, to go on or to bring it up to date.

    Parameters
    ----------
    collection : str, optional
        By default the only embedded one, else the one ingested last.
    qdrant_url : str, optional
        By default `QDRANT_URL`.
    quantization, on_disk, shards, replicas
        As for `cbir.ingest`.
    index : bool, optional
        Have everything indexed, or nothing; by default as the server decides.
    progress : callable

    Returns
    -------
    Transferred

    Raises
    ------
    CbirError
        With a message for people.
    """
    from cbir.collection.indexing import build_index
    from cbir.collection.served.layout import Layout
    from cbir.collection.transfer import transfer

    settings = read_settings(qdrant_url=qdrant_url)
    layout = Layout(quantization, on_disk, shards, replicas)
    with closing(home.embedded_engine(settings)) as source, closing(home.served_engine(settings, layout)) as target:
        name = home.collection_or_default(source, collection)
        home.warn_of_unused_layout(layout, name, target)
        with target.writing(name):
            done = transfer(source, target, name, progress)
            build_index(target, name, index, progress)
    return done
