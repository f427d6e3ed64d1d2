"""Sources by name: `digits`, `mnist`, `fashion-mnist`, or the path of a folder.

A search opens pictures by this module too, so what reads a source is imported when a source is opened.
"""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from cbir.core.progress import Progress, silent
from cbir.ingest.sources.arrays import ArraySource
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.mnist import DATASETS, mnist
from cbir.ingest.sources.source import Source, SourceError
from cbir.model.picture import open_image

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
        One of `NAMES`, or the path of a folder (`./mnist` for a folder named like a dataset).
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
        return open_dataset(name, folders, cache, progress=progress)
    if not os.path.isdir(os.path.expanduser(name)):  # noqa: PTH111, PTH112 - these never raise
        if os.path.isfile(name):  # noqa: PTH113
            raise SourceError(f"{name} is a file; name the folder it lies in")
        raise SourceError(f"'{name}' is neither a folder nor a dataset; the datasets are {', '.join(NAMES)}")
    from cbir.ingest.sources.folder import FolderSource

    return FolderSource(Path(name), choice, may_be_empty=may_be_empty, progress=progress)


def open_dataset(
    name: str, folders: Sequence[Path] = (), cache: Path = Path(), *, progress: Progress = silent
) -> ArraySource:
    """Open one of `NAMES`; parameters and errors as of `open_source`."""
    from cbir.ingest.sources.digits import digits

    return digits() if name == "digits" else mnist(name, folders, cache, progress=progress)


def collection_name(source: str) -> str:
    """Name the collection that a source fills by default: its own name, or the folder's."""
    from cbir.ingest.sources.folder import folder_name

    return source if source in NAMES else folder_name(Path(source).expanduser().resolve())


def picture_opener(folders: Sequence[Path] = (), cache: Path = Path()) -> Callable[..., Image.Image]:
    """Return a function that opens a picture by its path, or by a dataset's uri such as `mnist:test/7`.

    Its keyword `enough` is that of `open_image`.

    A dataset is read once (and looked for once, if it is not there), a file each
    time; either raises a `CbirError` if it cannot be.
    """

    @functools.cache
    def dataset(name: str) -> ArraySource | SourceError:
        try:
            return open_dataset(name, folders, cache)
        except SourceError as error:
            return error

    def open_picture(uri: str, *, enough: int | None = None) -> Image.Image:
        name = uri.partition(":")[0]
        if name not in NAMES or os.path.exists(uri):  # noqa: PTH110 - never raises
            return open_image(uri, enough=enough)
        source = dataset(name)
        if isinstance(source, SourceError):
            raise source
        return source.picture(uri)

    return open_picture
