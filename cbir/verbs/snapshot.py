"""Write a collection into a file."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cbir.collection import home
from cbir.core.atomic import atomic_file
from cbir.core.disk import disk_errors, expanded, require_folder_of
from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings


@dataclass(frozen=True)
class Snapshot:
    """A collection in a file.

    Attributes
    ----------
    collection : str
    path : Path
    bytes : int
        Size of the file.
    with_model : bool
        The file contains the model too.
    """

    collection: str
    path: Path
    bytes: int
    with_model: bool


def snapshot(
    collection: str | None = None,
    path: str | Path | None = None,
    *,
    qdrant_url: str | None = None,
    progress: Progress = silent,
) -> Snapshot:
    """Write a collection into a file.

    An embedded collection becomes a zip archive of its points, metadata and model; a server's becomes
    Qdrant's own snapshot, which any Qdrant can restore.

    Parameters
    ----------
    collection : str, optional
        By default the only one, else the one ingested last.
    path : str or Path, optional
        By default `NAME.cbir.zip` or `NAME.snapshot` in the current folder.
    qdrant_url : str, optional
        By default `QDRANT_URL`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).

    Returns
    -------
    Snapshot
    """
    from cbir.collection.archive import attach, is_archive
    from cbir.model.bundles import bundle_path

    settings = read_settings(qdrant_url=qdrant_url)
    with closing(home.open_engine(settings)) as engine:
        name = home.collection_or_default(engine, collection)
        suffix = ".snapshot" if settings.qdrant_url else ".cbir.zip"
        place = expanded(f"{name}{suffix}" if path is None else path).absolute()
        if place.is_dir():
            raise CbirError(f"{place} is a folder; name a file")
        require_folder_of(place)
        with disk_errors(place.parent), atomic_file(place) as partial:
            engine.snapshot(name, partial, progress)
            model = bundle_path(settings.models, engine.metadata(name).model)
            with_model = is_archive(partial) and model.is_dir()
            if with_model:
                attach(partial, model)
    return Snapshot(name, place, place.stat().st_size, with_model)
