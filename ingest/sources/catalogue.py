"""Sources by name: `digits`, `mnist`, `fashion-mnist`, or the path of a folder or an archive.

A search opens pictures by this module too, so what reads a source is imported when a source is opened.
"""

import functools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from cbir.core.disk import expanded
from cbir.core.errors import warn_caller
from cbir.core.objects import is_object
from cbir.core.progress import Progress, silent
from cbir.ingest.sources.arrays import ArraySource
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.mnist import DATASETS, mnist
from cbir.ingest.sources.source import Source, SourceError
from cbir.model.picture import decode, read_file

NAMES = ("digits", *DATASETS)


def open_source(
    name: str,
    folders: Sequence[Path] = (),
    cache: Path = Path(),
    *,
    choice: Choice | None = None,
    may_be_empty: bool = False,
    progress: Progress = silent,
) -> Source:
    """Open a source.

    Parameters
    ----------
    name : str
        One of `NAMES`, or the path of a folder (`./mnist` for a folder named like a dataset), of an archive, or of a
        folder that holds nothing but archives, which are its shards.
        What else may be typed opens arguments.py.
    folders : sequence of Path
        Where downloaded datasets may lie.
    cache : Path
        Where datasets are downloaded to.
    choice : Choice, optional
        Which files of a folder are taken, and what they are labelled with.
    may_be_empty : bool
        Whether a folder may have no pictures.
    progress : Progress
        Stages `download` and `list`.

    Raises
    ------
    SourceError
        Nothing of this name, or it is empty or damaged.
    OptionError
        A pattern of the choice that is none.
    """
    if name in NAMES:
        warn_of_namesake(name, folders)
        return open_dataset(name, folders, cache, progress=progress)
    if not os.path.isdir(os.path.expanduser(name)):  # noqa: PTH111, PTH112 - these never raise
        if os.path.isfile(os.path.expanduser(name)):  # noqa: PTH111, PTH113
            from cbir.ingest.sources.archive import ArchiveSource

            return ArchiveSource(Path(name), choice=choice, progress=progress)
        raise SourceError(f"'{name}' is neither a folder nor a dataset; the datasets are {', '.join(NAMES)}")
    from cbir.ingest.sources.archive import ArchiveSource, shards_in
    from cbir.ingest.sources.folder import FolderSource

    path = expanded(name)
    if shards := shards_in(path):
        opened = FolderSource(path, choice, may_be_empty=True, progress=progress)
        return opened if len(opened) else ArchiveSource(path, shards, choice, progress=progress)
    return FolderSource(path, choice, may_be_empty=may_be_empty, progress=progress)


def open_dataset(
    name: str, folders: Sequence[Path] = (), cache: Path = Path(), *, progress: Progress = silent
) -> ArraySource:
    """Open one of `NAMES`; parameters and errors as of `open_source`."""
    from cbir.ingest.sources.digits import digits

    return digits() if name == "digits" else mnist(name, folders, cache, progress=progress)


def warn_of_namesake(name: str, folders: Sequence[Path] = ()) -> None:
    """Say that a dataset is taken where there is a folder or a file of its name, which may be meant.

    Parameters
    ----------
    name : str
        One of `NAMES`, as it was typed.
    folders : sequence of Path
        Where downloaded datasets may lie: a folder of that name in one of them is the dataset itself.
    """
    here = Path(name)
    if not here.exists() or {here.resolve(), here.resolve().parent} & {folder.resolve() for folder in folders}:
        return
    what = "folder" if here.is_dir() else "file"
    warn_caller(f"{name} is the dataset that cbir knows by that name, not the {what} here; for that, write ./{name}")


def collection_name(source: str) -> str:
    """Name the collection that a source fills by default: its own name, or the folder's or archive's."""
    from cbir.ingest.sources.archive import root_name
    from cbir.ingest.sources.folder import folder_name

    if source in NAMES:
        return source
    path = expanded(source).resolve()
    return root_name(path) if path.is_file() else folder_name(path)


def picture_opener(
    folders: Sequence[Path] = (), cache: Path = Path(), decode: Callable[..., Image.Image] = decode
) -> Callable[..., Image.Image]:
    """Return a function that opens a picture by its path, its address, or a dataset's uri such as `mnist:test/7`.

    Its keyword `enough` is that of `open_image`; `stored` is the payload of the stored point, if it is one's picture,
    which may tell where in a shard it is. A path may lead into an archive: `photos.zip/cats/1.jpg`. A dataset is read
    once (and looked for once, if it is not there), a file each time; either raises a `CbirError` if it cannot be.
    Addresses in private networks are refused. What is read is decoded by `decode`, which is as that of
    `cbir.model.picture`.
    """
    reading = threading.Lock()

    @functools.cache
    def dataset(name: str) -> ArraySource | SourceError:
        try:
            return open_dataset(name, folders, cache)
        except SourceError as error:
            return error

    def open_picture(uri: str, *, enough: int | None = None, stored: Mapping[str, Any] | None = None) -> Image.Image:
        name = uri.partition(":")[0]
        if name not in NAMES or os.path.exists(uri):  # noqa: PTH110 - never raises
            return decode(_read(uri, stored), uri, enough=enough)
        with reading:  # many threads may ask for the first of its pictures at once
            source = dataset(name)
        if isinstance(source, SourceError):
            raise source
        return source.picture(uri)

    return open_picture


def _read(uri: str, stored: Mapping[str, Any] | None) -> bytes:
    """Return the content of a picture's file, of one in an archive, or of one at an address."""
    if uri[:8].lower().startswith(("http://", "https://")):
        from cbir.ingest.sources.addresses import Fetcher

        fetcher = Fetcher()
        try:
            return fetcher.fetch(uri)
        finally:
            fetcher.close()
    if is_object(uri):
        from cbir.ingest.sources.member_pictures import read_in_storage

        return read_in_storage(uri, stored)
    if not os.path.exists(uri):  # noqa: PTH110 - never raises
        from cbir.ingest.sources.member_pictures import archive_above, read_member

        if archive_above(uri):
            return read_member(uri)
    return read_file(uri)
