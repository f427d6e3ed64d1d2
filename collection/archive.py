"""A collection as one file, independent of the engine that stores it.

A zip archive: `collection.json` (metadata and number of points), and for each
page of points `pages/N.npy`, the vectors as (n, d) float32, beside
`pages/N.jsonl`, a line of id and payload for each. Anything that reads NumPy
and JSON can read it. A folder, such as the model that made the vectors, may be
attached. The zip's checksums show damage.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from cbir.collection.errors import CollectionError, NewerFormatError, already_exists
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import Metadata
from cbir.core.errors import first_line
from cbir.core.progress import Progress, silent

_METADATA, _PAGES, _ATTACHED = "collection.json", "pages", "attached"
_FORMAT = 1


def is_archive(path: Path) -> bool:
    """Tell whether a file begins as such an archive (or any zip) does; it may be damaged."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def write_archive(collection: Collection, path: Path, progress: Progress = silent) -> None:
    """Write all points of an open collection into a file; stage `snapshot`."""
    total = collection.count()
    done = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, page in enumerate(collection.scroll()):
            vectors = io.BytesIO()
            np.save(vectors, page.vectors, allow_pickle=False)
            archive.writestr(f"{_PAGES}/{number:06}.npy", vectors.getbuffer())
            lines = (json.dumps([i, p], ensure_ascii=False) for i, p in zip(page.ids, page.payloads, strict=True))
            archive.writestr(f"{_PAGES}/{number:06}.jsonl", "\n".join(lines))
            done += len(page.ids)
            progress("snapshot", done, total)
        stored = {"format": _FORMAT, "points": done, "metadata": collection.metadata.to_json()}
        archive.writestr(_METADATA, json.dumps(stored, indent=2))


def read_archive(path: Path, engine: Engine, name: str, progress: Progress = silent) -> None:
    """Make collection `name` from an archive, all or nothing; stage `restore`.

    Raises
    ------
    CollectionError
        There is one of that name, or the archive is damaged, of another kind or of a newer cbir.
    """
    if engine.exists(name):
        raise already_exists(name)
    with _opened(path) as archive:
        total, metadata = _read_metadata(path, archive)
        done = 0
        with engine.replacement(name, metadata) as collection:
            collection.pause_indexing()
            for member in sorted(n for n in archive.namelist() if n.startswith(f"{_PAGES}/") and n.endswith(".npy")):
                vectors = np.load(io.BytesIO(archive.read(member)), allow_pickle=False)
                lines = archive.read(member.removesuffix("npy") + "jsonl").decode().split("\n")
                ids, payloads = zip(*map(json.loads, lines), strict=True)
                collection.upsert(ids, vectors, payloads)
                done += len(ids)
                progress("restore", done, total)
            if done != total:
                raise CollectionError(f"{path} is damaged: it holds {done} points instead of {total}")


def archive_metadata(path: Path) -> Metadata:
    """Read the metadata of the collection in an archive."""
    with _opened(path) as archive:
        return _read_metadata(path, archive)[1]


def attach(path: Path, folder: Path) -> None:
    """Add the files of a folder to an archive."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{_ATTACHED}/{file.name}")


def extract_attached(path: Path, folder: Path) -> bool:
    """Write the attached files into an existing folder; return whether there were any."""
    with _opened(path) as archive:
        members = [name for name in archive.namelist() if name.startswith(f"{_ATTACHED}/")]
        for member in members:
            # The last part only: a path in an archive from elsewhere may point anywhere.
            (folder / PurePosixPath(member).name).write_bytes(archive.read(member))
    return bool(members)


def _read_metadata(path: Path, archive: zipfile.ZipFile) -> tuple[int, Metadata]:
    """Return the number of points and the collection's metadata."""
    stored = json.loads(archive.read(_METADATA))
    if stored["format"] > _FORMAT:
        raise NewerFormatError(
            f"{path} was written by a newer cbir (archive format {stored['format']}; this one reads up to {_FORMAT}): "
            "upgrade cbir"
        )
    return int(stored["points"]), Metadata.from_json(stored["metadata"], str(path))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except CollectionError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CollectionError(f"{path} is not a cbir archive, or is damaged ({first_line(error)})") from None
