"""Collections as a whole: to a server and back, into a file and back.

In: a collection's name. Out: the same collection in another place. The model
that filled it stays where it is, in CBIR_HOME; an archive of an embedded
collection takes it along.
"""

from __future__ import annotations

import functools
import tempfile
import warnings
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cbir import homes
from cbir.core.atomic import atomic_file
from cbir.core.disk import disk_errors
from cbir.core.errors import CbirError, CbirWarning
from cbir.core.progress import Progress, silent
from cbir.core.settings import settings

if TYPE_CHECKING:
    from cbir.collection.interface import Engine
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
    from cbir.collection.served.layout import Layout

    where = settings(qdrant_url=qdrant_url)
    layout = Layout(quantization, on_disk, shards, replicas)
    with closing(homes.embedded(where)) as source, closing(homes.served(where, layout)) as target:
        name = homes.named(source, collection)
        homes.warn_of_unused(layout, name, target)
        return _transfer(source, target, name, index, progress)


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
    where = settings(qdrant_url=qdrant_url)
    with closing(homes.served(where)) as source, closing(homes.embedded(where)) as target, disk_errors(where.home):
        name = homes.named(source, collection)
        done = _transfer(source, target, name, index, progress)
        model = where.models / target.metadata(name).model
    if not model.is_dir():
        warnings.warn(
            f"the model that filled it is not here; to search it by picture, copy the model's folder to {model}",
            CbirWarning,
            stacklevel=2,
        )
    return done


@dataclass(frozen=True)
class Snapshot:
    """A collection in a file: its `collection`, `path`, size in `bytes`, and whether the model is in it."""

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
    """Write a whole collection into a file.

    An embedded one becomes a zip archive of its points, metadata and model; a
    server's becomes Qdrant's own snapshot, which any Qdrant can restore.

    Parameters
    ----------
    collection : str, optional
        By default the only one there is, else the one ingested last.
    path : str or Path, optional
        By default `NAME.cbir.zip` or `NAME.snapshot` in the current folder.
    qdrant_url : str, optional
        By default `QDRANT_URL`.
    progress : callable

    Returns
    -------
    Snapshot
    """
    from cbir.collection.archive import attach, is_archive

    where = settings(qdrant_url=qdrant_url)
    with closing(homes.engine(where)) as engine:
        name = homes.named(engine, collection)
        suffix = ".snapshot" if where.qdrant_url else ".cbir.zip"
        place = Path(f"{name}{suffix}" if path is None else path).expanduser().absolute()
        if place.is_dir():
            raise CbirError(f"{place} is a folder; name a file")
        with disk_errors(place.parent), atomic_file(place) as partial:
            engine.snapshot(name, partial, functools.partial(progress, "snapshot"))
            model = where.models / engine.metadata(name).model
            with_model = is_archive(partial) and model.is_dir()
            if with_model:
                attach(partial, model)
    return Snapshot(name, place, place.stat().st_size, with_model)


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
        Its name; by default the file's, up to the first dot.
    qdrant_url : str, optional
        By default `QDRANT_URL`.
    progress : callable

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

    where = settings(qdrant_url=qdrant_url)
    file = Path(path).expanduser().absolute()
    name = file.name.partition(".")[0] if collection is None else collection
    if not file.is_file():
        raise CbirError(f"there is no file {file}")
    with disk_errors(where.home), closing(homes.engine(where)) as engine, engine.writing(name):
        model = _restore_model(file, where.models) if is_archive(file) else None
        engine.restore(file, name, functools.partial(progress, "restore"))
        build_index(engine, name, None, functools.partial(progress, "index"))
        metadata = engine.metadata(name)
        if model not in (None, metadata.model):
            with closing(engine.open(name)) as opened:
                opened.remember(replace(metadata, model=model))
    return name


def _restore_model(archive: Path, models: Path) -> str | None:
    """Put the archive's model beside the others, unless it is there; return its name, or None if there is none."""
    from cbir.collection.archive import archived, detach
    from cbir.collection.interface import check_encoder
    from cbir.ingest.learn import adopt_bundle

    metadata = archived(archive)
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix=".restore") as folder:
        if not detach(archive, Path(folder)):
            return None
        return adopt_bundle(
            models,
            metadata.model,
            Path(folder),
            lambda fingerprint: check_encoder(archive.name, metadata, fingerprint, "the model in it"),
        ).name


def _transfer(source: Engine, target: Engine, name: str, index: bool | None, progress: Progress) -> Transferred:
    from cbir.collection.indexing import build_index
    from cbir.collection.transfer import transfer

    with target.writing(name):
        done = transfer(source, target, name, functools.partial(progress, "copy"))
        build_index(target, name, index, functools.partial(progress, "index"))
    return done
