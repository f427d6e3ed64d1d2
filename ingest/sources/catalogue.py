"""Sources by name: `digits`, `mnist`, `fashion-mnist`, or the path of a folder."""

import functools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from cbir.core.progress import Progress, silent
from cbir.ingest.sources.digits import digits
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.mnist import DATASETS, mnist
from cbir.ingest.sources.source import Source, SourceError
from cbir.model.picture import open_image

NAMES = ("digits", *DATASETS)


def open_source(
    name: str, folders: Sequence[Path] = (), cache: Path = Path(), *, progress: Progress = silent
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
    progress : Progress
        Stage `download`.

    Raises
    ------
    SourceError
        Nothing of this name, or it is empty or damaged.
    """
    if name == "digits":
        return digits()
    if name in DATASETS:
        return mnist(name, folders, cache, progress=progress)
    if not os.path.isdir(os.path.expanduser(name)):  # noqa: PTH111, PTH112 - these never raise
        if os.path.isfile(name):  # noqa: PTH113
            raise SourceError(f"{name} is a file; name the folder it lies in")
        raise SourceError(f"no source '{name}': name a folder of pictures or one of {', '.join(NAMES)}")
    return FolderSource(Path(name))


def collection_name(source: str) -> str:
    """Name the collection that a source fills by default: its own name, or the folder's."""
    if source in NAMES:
        return source
    name = Path(source).expanduser().resolve().name
    return re.sub(r"[^\w.\- ]+", "-", name).strip("-_. ") or "pictures"


def picture_opener(folders: Sequence[Path] = (), cache: Path = Path()) -> Callable[[str], Image.Image]:
    """Return a function that opens the picture of a stored uri: a dataset's (`mnist:test/7`) or a file's.

    A dataset is read once (and looked for once, if it is not there), a file each
    time; either raises a `CbirError` if it cannot be.
    """

    @functools.cache
    def dataset(name: str) -> Source | SourceError:
        try:
            return open_source(name, folders, cache)
        except SourceError as error:
            return error

    def open_picture(uri: str) -> Image.Image:
        name = uri.partition(":")[0]
        if name not in NAMES or os.path.exists(uri):  # noqa: PTH110 - never raises
            return open_image(uri)
        source = dataset(name)
        if isinstance(source, SourceError):
            raise source
        return source.picture(uri)

    return open_picture
