"""Pictures in object storage as a root: `s3://bucket/photos` or `gs://bucket/photos`.

In: an address. Out: a source whose uris are the keys below it, read by `cbir.ingest.sources.object_members` as an
archive is by its reader.
"""

from pathlib import Path
from typing import Self

from cbir.core.progress import Progress, silent
from cbir.ingest.sources.archive import ArchiveSource
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.folder import folder_name


class BucketSource(ArchiveSource):
    """A source over the pictures below an address.

    Parameters
    ----------
    address : str
    choice : Choice
        As for a folder.
    progress : Progress
        Stage `list`.

    Raises
    ------
    SourceError
        It cannot be reached, or there is no picture.
    """

    def __init__(self, address: str, choice: Choice | None = None, *, progress: Progress = silent) -> None:
        self._address = address.rstrip("/")
        self._progress = progress
        place = Path(self._address)
        self._open(place, folder_name(place), [place], choice or Choice(), progress)

    def __str__(self) -> str:
        return self._address

    def chosen(self, choice: Choice) -> Self:
        """Return the same objects, listed again by another choice."""
        return type(self)(self._address, choice, progress=self._progress)
