"""The pictures of stored points, opened from the collection's own roots alone, whatever a payload says.

In: a collection and a point's id. Out: the picture's file, read; a file in an archive; an object in storage; or a
dataset's picture. Other tools write payloads too: a uri that leads out of its root by `..`, as an absolute path, by
another scheme, or through a link, is not there.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cbir.collection.errors import NoSuchPointError
from cbir.collection.place import stored_places
from cbir.collection.point import is_point_id, text_of
from cbir.core.objects import is_object
from cbir.core.uris import is_absolute, path_of, shown
from cbir.ingest.added import SOURCE as ADDED
from cbir.ingest.sources.catalogue import NAMES
from cbir.ingest.sources.member_pictures import archive_above, read_in_storage, read_member
from cbir.ingest.sources.source import SourceError
from cbir.model.errors import ImageError
from cbir.model.picture import read_file
from cbir.model.steps import explained
from cbir.serve.decoding import cropped
from cbir.serve.problems import NotFoundError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from cbir.collection.metadata import Metadata
    from cbir.collection.point import Payload
    from cbir.model.preprocessing import Preprocessing
    from cbir.search.searcher import Searcher
    from cbir.serve.decoding import Decoding
    from cbir.serve.schemas import Box

_DATASETS = re.compile(rf"(?:{'|'.join(map(re.escape, NAMES))}):[\w/-]{{1,40}}", re.ASCII)
#: Before a colon in the first part of a uri that is a path all the same.
_PATHS = ("./", "%:")
#: Letters of a uri.
_LONGEST = 8192
#: Bytes of a file that is read to be shown.
_MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class File:
    """A picture in a file, in an archive or in object storage.

    Attributes
    ----------
    path : str
        The file's, or the archive's and the file's in it.
    file : str
        The file, or the archive, or the object's address.
    stamp : str
        Another one after the file was changed.
    member : bool
        Whether it is in an archive.
    size : int
        Bytes of the file, or of the archive.
    sha256 : str or None
        What the content must be; None: whatever is there.
    stored : Mapping or None
        Of what is in object storage, the point's payload, which tells where in a shard it may be.
    """

    path: str
    file: str
    stamp: str
    member: bool = False
    size: int = 0
    sha256: str | None = None
    stored: Payload | None = field(default=None, compare=False)

    def read(self) -> bytes:
        """Return the content.

        Raises
        ------
        NotFoundError
            It is another one than it must be.
        ImageError
            It is no picture, or cannot be read.
        """
        if self.size > _MOST_BYTES and not self.member:
            raise ImageError(f"{shown(self.path)} has {self.size / 1e6:.0f} MB; too many to show it")
        if self.stored is not None:
            content = read_in_storage(self.path, self.stored)
        else:
            content = read_member(self.path) if self.member else read_file(self.path)
        if self.sha256 is not None and hashlib.sha256(content).hexdigest() != self.sha256:
            raise NotFoundError(f"{shown(self.path)} is another picture than the stored one; ingest it again")
        return content


@dataclass(frozen=True)
class DatasetPicture:
    """A picture of a dataset, by its uri; `stamp` is that of a file."""

    uri: str

    @property
    def stamp(self) -> str:
        """The uri: these pictures never change."""
        return self.uri


class Pictures:
    """The pictures of stored points; threads share them.

    Parameters
    ----------
    decoding : Decoding
        Of files to look at; what is searched for does not wait for these.
    """

    def __init__(self, decoding: Decoding) -> None:
        self.decoding = decoding

    def find(self, searcher: Searcher, point: str) -> tuple[Payload, File | DatasetPicture]:
        """Return a point's payload and where its picture is: of exact copies, one that is there.

        Raises
        ------
        NoSuchPointError
        NotFoundError
            It is not there any more, or not below the collection's roots.
        """
        payload = _payload(searcher, point)
        for place in stored_places(payload):
            found = _permitted(place, payload, searcher.metadata)
            if found is not None:
                return payload, found
        raise NotFoundError(_why_missing(point, payload, searcher.metadata))

    def pixels(
        self, searcher: Searcher, point: str, preprocessing: Preprocessing, box: Box | None = None
    ) -> np.ndarray:
        """Return what an encoder sees of a stored picture, or of a part of it, (h, w, c) uint8; errors as of `find`."""
        _, found = self.find(searcher, point)
        if isinstance(found, DatasetPicture):
            return preprocessing.pixels(cropped(self.of_dataset(searcher, found), box))
        return self.decoding.pixels(found.read(), found.path, preprocessing, box)

    def explained(
        self, searcher: Searcher, point: str, preprocessing: Preprocessing, box: Box | None = None
    ) -> tuple[np.ndarray, list[str]]:
        """Return what an encoder sees of a stored picture, and how that came about; errors as of `find`."""
        _, found = self.find(searcher, point)
        if isinstance(found, DatasetPicture):
            return explained(cropped(self.of_dataset(searcher, found), box), preprocessing)
        return self.decoding.explained(found.read(), found.path, preprocessing, box)

    @staticmethod
    def of_dataset(searcher: Searcher, found: DatasetPicture) -> Image.Image:
        """Return a dataset's picture; NotFoundError if there is none of that uri, or the dataset is not here."""
        try:
            return searcher.open_picture(found.uri)
        except SourceError as error:
            raise NotFoundError(str(error)) from None


def _payload(searcher: Searcher, point: str) -> Payload:
    with searcher.used() as collection:
        found = collection.payloads([point]) if is_point_id(point) else {}
    if not found:
        raise NoSuchPointError(f"collection '{searcher.name}' holds no point '{point}'")
    return next(iter(found.values()))


def _why_missing(point: str, payload: Payload, metadata: Metadata) -> str:
    if all(text_of(place, "source") == ADDED for place in stored_places(payload)):
        return f"point '{point}' was added without its file (\"save\": true keeps it): it is found, but cannot be shown"
    roots = [metadata.roots.get(text_of(place, "source")) for place in stored_places(payload)]
    gone = next((root for root in roots if root and not is_object(root) and not os.path.lexists(root)), None)
    if gone is None:
        return f"the picture of point '{point}' is not there: its file is gone, or not below the collection's roots"
    return (
        f"{shown(gone)} is not there: mount the disk it is on; or say where it is now with: cbir move {shown(gone)} NEW"
    )


def _permitted(place: Payload, payload: Payload, metadata: Metadata) -> File | DatasetPicture | None:
    """Return where a place's picture is; None if it is not there, or not to be shown."""
    source, uri = text_of(place, "source"), text_of(place, "uri")
    root = metadata.roots.get(source)
    sha256 = text_of(payload, "sha256")
    if root is None and is_object(uri) and source in metadata.sources and sha256:  # named in a list
        return File(uri, uri, f"{uri}\0{sha256}", sha256=sha256, stored=payload)
    if root is None:
        known = source in NAMES and source in metadata.sources
        is_dataset = known and _DATASETS.fullmatch(uri) and uri.startswith(f"{source}:")
        return DatasetPicture(uri) if is_dataset and not os.path.lexists(uri) else None
    relative = _relative(uri)
    if relative is None:
        return None
    if is_object(root):  # which is not asked until the picture is wanted: it takes its time
        address = f"{root}/{relative}"
        stamp = f"{address}\0{sha256}"
        return File(address, address, stamp, sha256=sha256, stored=payload) if sha256 else None
    path = os.path.join(root, relative)  # noqa: PTH118 - a path of any bytes
    above = None if os.path.isfile(path) else archive_above(path)  # noqa: PTH113
    file = path if above is None else above[0]
    follow = metadata.choices.get(source, {}).get("follow") is True
    if not os.path.isfile(file) or not (follow or _is_below(file, root)):  # noqa: PTH113
        return None
    required = None
    if os.path.dirname(root) == root:  # noqa: PTH120 - files listed one by one: any file is below that root
        required = text_of(payload, "sha256")
        if not required:
            return None
    try:
        status = os.stat(file)  # noqa: PTH116
    except OSError:
        return None
    stamp = f"{file}\0{status.st_mtime_ns}\0{status.st_size}\0{path}"
    return File(path, file, stamp, above is not None, status.st_size, required)


def _relative(uri: str) -> str | None:
    """Return the path that a uri stands for; None if it leads anywhere but down from its root."""
    scheme = ":" in uri.partition("/")[0] and not uri.startswith(_PATHS)
    if not uri or len(uri) > _LONGEST or scheme or is_absolute(uri):
        return None
    path = path_of(uri)
    if is_absolute(path) or os.path.isabs(path) or "\0" in path or ".." in path.replace(os.sep, "/").split("/"):  # noqa: PTH117
        return None
    return path


def _is_below(file: str, root: str) -> bool:
    """Return whether a file is in a folder, or is it, whatever links lead there."""
    real, base = os.path.realpath(file), os.path.realpath(root)
    return real == base or real.startswith(os.path.join(base, ""))  # noqa: PTH118 - "/" keeps its slash
