"""A collection as one file, independent of the engine that stores it: written here, read by `unpack`.

A zip archive: `collection.json` (metadata and number of points), and for each
page of points `pages/N.npy`, the vectors as (n, d) float32, beside
`pages/N.jsonl`, a line of id and payload for each. Anything that reads NumPy
and JSON can read it. A folder, such as the model that made the vectors, may be
attached. The zip's checksums show damage.
"""

import io
import json
import shutil
from pathlib import Path
from typing import IO, Literal
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from cbir.collection.interface import Collection
from cbir.collection.verify import sound_pages
from cbir.core.progress import Progress, silent

METADATA, PAGES, ATTACHED = "collection.json", "pages", "attached"
FORMAT = 1

#: Of vectors that are in memory at once, unless one alone takes more.
PAGE_BYTES = 16_000_000
_PAGE = 4096

#: Bytes from which on a member's sizes may not fit 32 bits.
_LARGE = 2_000_000_000


def page_of(dimension: int) -> int:
    """Return how many points are read or written at once."""
    return max(1, min(_PAGE, PAGE_BYTES // (4 * dimension)))


def is_archive(path: Path) -> bool:
    """Tell whether a file begins as such an archive (or any zip) does; it may be damaged."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def write_archive(collection: Collection, path: Path, progress: Progress = silent) -> None:
    """Write all points of an open collection into a file; stage `snapshot`."""
    total = collection.count()
    done = 0
    with _opened(path, "w") as archive:
        for number, page in enumerate(sound_pages(collection, page_of(collection.metadata.dimension))):
            vectors = io.BytesIO()
            np.save(vectors, page.vectors, allow_pickle=False)
            _write(archive, f"{PAGES}/{number:06}.npy", vectors.getvalue())
            lines = (json.dumps([i, p], ensure_ascii=False) for i, p in zip(page.ids, page.payloads, strict=True))
            _write(archive, f"{PAGES}/{number:06}.jsonl", "\n".join(lines).encode())
            done += len(page.ids)
            progress("snapshot", done, total)
        stored = {"format": FORMAT, "points": done, "metadata": collection.metadata.to_json()}
        _write(archive, METADATA, json.dumps(stored, indent=2).encode())


def attach(path: Path, folder: Path) -> None:
    """Add the files of a folder to an archive."""
    with _opened(path, "a") as archive:
        for file in sorted(each for each in folder.iterdir() if each.is_file()):
            with file.open("rb") as content, _member(archive, f"{ATTACHED}/{file.name}", file.stat().st_size) as member:
                shutil.copyfileobj(content, member, 1 << 20)


def _opened(path: Path, mode: Literal["w", "a"]) -> ZipFile:
    return ZipFile(path, mode, ZIP_DEFLATED, compresslevel=1)


def _write(archive: ZipFile, name: str, content: bytes) -> None:
    with _member(archive, name, len(content)) as member:
        member.write(content)


def _member(archive: ZipFile, name: str, size: int) -> IO[bytes]:
    """Open a new member, dated 1980: a zip holds no time before, such as files of reproducible images have, or a clock.

    Nor one after 2107. The same points make the same bytes, too.
    """
    return archive.open(name, "w", force_zip64=size > _LARGE)
