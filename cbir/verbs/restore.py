"""Make a collection from a file that `snapshot` wrote."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cbir.collection import home
from cbir.core.atomic import scratch_folder
from cbir.core.disk import disk_errors, expanded
from cbir.core.errors import CbirError
from cbir.core.names import made_name
from cbir.core.progress import Progress, silent
from cbir.core.settings import read_settings


def restore(
    path: str | Path,
    collection: str | None = None,
    *,
    qdrant_url: str | None = None,
    progress: Progress = silent,
) -> str:
    """Make a collection from a file that `snapshot` wrote.

    Parameters
    ----------
    path : str or Path
    collection : str, optional
        Name to give it; by default the file's, up to its first dot.
    qdrant_url : str, optional
        By default `QDRANT_URL`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).

    Returns
    -------
    str
        The collection's name.

    Raises
    ------
    CbirError
        There is a collection of that name, or the file is damaged.
    """
    from cbir.collection.archive import is_archive
    from cbir.collection.indexing import build_index

    settings = read_settings(qdrant_url=qdrant_url)
    file = expanded(path).absolute()
    given = made_name(file.name.partition(".")[0]) if collection is None else collection
    if not file.is_file():
        raise CbirError(f"{file} does not exist")
    with disk_errors(settings.home), closing(home.open_engine(settings)) as engine, engine.writing(given):
        name = engine.spelled(given)
        model = _restore_model(file, settings.models) if is_archive(file) else None
        engine.restore(file, name, progress)
        build_index(engine, name, None, progress)
        metadata = engine.metadata(name)
        # A copy of an old state does not become the collection that is used where none is named.
        with closing(engine.open(name)) as opened:
            opened.remember(replace(metadata, model=model or metadata.model, ingested=""))
    return name


def _restore_model(archive: Path, models: Path) -> str | None:
    """Install the model that an archive contains, unless it is there; return its name, None if there is no model."""
    from cbir.collection.checks import check_encoder
    from cbir.collection.unpack import archive_metadata, extract_attached
    from cbir.model.bundles import adopt_bundle

    metadata = archive_metadata(archive)
    with scratch_folder(models / "restored") as folder:
        if not extract_attached(archive, folder):
            return None
        return adopt_bundle(
            models,
            metadata.model,
            folder,
            lambda fingerprint: check_encoder(archive.name, metadata, fingerprint, "the model in it"),
        ).name
