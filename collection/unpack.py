"""An archive becomes a collection again: all of it or nothing, whatever the archive holds.

In: a file that `archive` wrote, or that somebody says it did, and an engine. Out: the collection. What the archive
says of itself is compared before a point is stored: the sizes of its members with the number of points and their
dimension, and all of them with the room on the disk. A page is then read in parts, so that memory does not depend on
what the archive claims.
"""

import errno
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from cbir.collection.archive import ATTACHED, FORMAT, METADATA, PAGES, page_of
from cbir.collection.checks import validated_points
from cbir.collection.errors import CollectionError, NewerFormatError, already_exists
from cbir.collection.interface import Engine
from cbir.collection.metadata import Metadata
from cbir.collection.point import Payload
from cbir.core.disk import check_room
from cbir.core.errors import first_line
from cbir.core.progress import Progress, silent
from cbir.core.stored import MOST_BYTES, a_text, a_whole_number, an_object, parse_object, required

#: Times its own size that an archive may unpack to, from `_LARGE` on: cbir's get 2 to 20 times as large. A zip of
#: zeros gets a thousand times as large, and one whose members overlap millions.
_MOST_TIMES = 200
_LARGE = 1_000_000_000

#: Bytes of one point's payload, and of payloads that are read before they are stored.
_LINE_BYTES = 64_000_000
_BATCH_BYTES = 8_000_000

_ATTACHED_NAME = re.compile(r"[\w][\w.\- ]*")
_ENCRYPTED = 1

#: Is there room for so many bytes? Raises if not.
RoomCheck = Callable[[int], None]


@dataclass(frozen=True)
class _Page:
    """Points of an archive: the members of their vectors and payloads, and how many there are."""

    vectors: ZipInfo
    payloads: ZipInfo
    points: int


@dataclass(frozen=True)
class _Contents:
    """What an archive says that it holds; its members' sizes agree with it."""

    metadata: Metadata
    points: int
    pages: tuple[_Page, ...]
    attached: tuple[ZipInfo, ...]


@dataclass(frozen=True)
class _Batch:
    """Points to store: n ids, (n, d) float32 vectors, n payloads."""

    ids: list[str]
    vectors: np.ndarray
    payloads: list[Payload]


def read_archive(
    path: Path, engine: Engine, name: str, progress: Progress = silent, *, room: RoomCheck | None = None
) -> None:
    """Make collection `name` from an archive, all or nothing; stage `restore`.

    Parameters
    ----------
    path : Path
    engine : Engine
    name : str
    progress : Progress
    room : callable, optional
        Raises where there is no room for so many bytes.

    Raises
    ------
    CollectionError
        There is one of that name, or the archive is damaged, of another kind or of a newer cbir.
    """
    if engine.exists(name):
        raise already_exists(name)
    with _opened(path) as archive:
        contents = _contents(path, archive)
        if room is not None:
            room(sum(page.vectors.file_size + page.payloads.file_size for page in contents.pages))
        done = 0
        with engine.replacement(name, contents.metadata) as collection:
            collection.pause_indexing()
            for batch in _batches(path, archive, contents):
                collection.upsert(batch.ids, batch.vectors, batch.payloads)
                done += len(batch.ids)
                progress("restore", done, contents.points)
            stored = collection.count()
            if stored != contents.points:
                raise CollectionError(f"{path} is damaged: it holds {stored} points instead of {contents.points}")


def archive_metadata(path: Path) -> Metadata:
    """Read the metadata of the collection in an archive, whose sizes are checked."""
    with _opened(path) as archive:
        return _contents(path, archive).metadata


def extract_attached(path: Path, folder: Path) -> bool:
    """Write the attached files into an existing folder; return whether there were any.

    Raises
    ------
    CollectionError
        The archive is damaged.
    CbirError
        There is no room for them.
    """
    with _opened(path) as archive:
        members = _contents(path, archive).attached
        check_room(folder, sum(member.file_size for member in members))
        for member in members:
            # The last part only: a path in an archive from elsewhere may point anywhere.
            with (folder / _last_part(member)).open("wb") as written:
                for block in _blocks(path, archive, member):
                    written.write(block)
    return bool(members)


def _contents(path: Path, archive: ZipFile) -> _Contents:
    """Read what an archive says of itself, and compare it with the sizes of its members."""
    with _damage(path):
        members = {member.filename: member for member in archive.infolist()}
        if len(members) != len(archive.infolist()):
            raise ValueError("two of its files have the same name")
        card = _member(members, METADATA)
        if card.file_size > MOST_BYTES:
            raise ValueError(f"{METADATA} is too large")
        stored = parse_object(archive.read(card))
        number = a_whole_number(stored.get("format"), "format", 1)
        if number > FORMAT:
            raise NewerFormatError(
                f"{path} was written by a newer cbir (archive format {number}; this one reads up to {FORMAT}): "
                "upgrade cbir"
            )
        metadata = Metadata.from_json(required(stored, "metadata"), str(path))
        points = a_whole_number(required(stored, "points"), "points")
        _check_size(path, members.values())
        vectors = sorted(name for name in members if name.startswith(f"{PAGES}/") and name.endswith(".npy"))
        pages = tuple(_page(archive, members, name, metadata.dimension) for name in vectors)
        if (held := sum(page.points for page in pages)) != points:
            raise ValueError(f"it holds {held} points instead of {points}")
        attached = [m for m in members.values() if m.filename.startswith(f"{ATTACHED}/") and not m.is_dir()]
        for member in attached:
            if not _ATTACHED_NAME.fullmatch(_last_part(_usable(member))):
                raise ValueError("the name of an attached file is not a name")
        return _Contents(metadata, points, pages, tuple(attached))


def _check_size(path: Path, members: Iterable[ZipInfo]) -> None:
    unpacked = sum(member.file_size for member in members)
    size = path.stat().st_size
    if unpacked > max(_LARGE, _MOST_TIMES * size):
        raise ValueError(
            f"its {size / 1e6:,.1f} MB would unpack to {unpacked / 1e6:,.0f} MB, which is more than any collection does"
        )


def _page(archive: ZipFile, members: dict[str, ZipInfo], name: str, dimension: int) -> _Page:
    """Read how many vectors a page says that it holds; ValueError if its size says otherwise."""
    vectors, payloads = _member(members, name), _member(members, name.removesuffix("npy") + "jsonl")
    with archive.open(vectors) as content:
        points = _read_header(content, dimension)
        header = content.tell()
    if vectors.file_size != header + 4 * points * dimension:
        raise ValueError(f"{name} is not as large as it says")
    return _Page(vectors, payloads, points)


def _read_header(content: IO[bytes], dimension: int) -> int:
    """Read the header of (n, d) float32 vectors, and return n."""
    try:
        np.lib.format.read_magic(content)
        shape, columns_first, kind = np.lib.format.read_array_header_1_0(content)
    except Exception:  # noqa: BLE001 - it is read as a literal of Python, which can raise nearly anything
        raise ValueError("a page of vectors has no header") from None
    if columns_first or kind != np.dtype("<f4") or len(shape) != 2 or shape[1] != dimension:
        raise ValueError(f"a page of vectors is not float32 of {dimension} values each")
    return int(shape[0])


def _batches(path: Path, archive: ZipFile, contents: _Contents) -> Iterator[_Batch]:
    """Yield all points in parts of bounded size."""
    dimension = contents.metadata.dimension
    with _damage(path):
        for page in contents.pages:
            with archive.open(page.vectors) as vectors, archive.open(page.payloads) as payloads:
                left = _read_header(vectors, dimension)
                lines = _lines(io.BufferedReader(payloads, 1 << 20))  # type: ignore[arg-type] # it has `readinto`
                while left:
                    ids, found = [], []
                    read = 0
                    for line in islice(lines, min(left, page_of(dimension))):
                        identity, payload = _point(line)
                        ids.append(identity)
                        found.append(payload)
                        read += len(line)
                        if read > _BATCH_BYTES:
                            break
                    if not ids:
                        raise ValueError(f"{page.payloads.filename} has {left} lines too few")
                    content = vectors.read(4 * len(ids) * dimension)
                    rows = np.frombuffer(content, "<f4").reshape(len(ids), dimension)
                    yield _Batch(ids, _checked(ids, rows, found, dimension), found)
                    left -= len(ids)
                if next(lines, None) is not None:
                    raise ValueError(f"{page.payloads.filename} has lines too many")
                if vectors.read(1):  # the checksum is compared at the end
                    raise ValueError(f"{page.vectors.filename} is longer than it says")


def _lines(content: io.BufferedReader) -> Iterator[bytes]:
    while line := content.readline(_LINE_BYTES):
        if len(line) == _LINE_BYTES:
            raise ValueError(f"a payload is larger than {_LINE_BYTES / 1e6:.0f} MB")
        yield line


def _point(line: bytes) -> tuple[str, Payload]:
    """Return the id and the payload of a line."""
    try:
        identity, payload = json.loads(line, parse_constant=_no_number)
    except (TypeError, RecursionError):
        raise ValueError("a line is not an id and a payload") from None
    return a_text(identity, "an id"), an_object(payload, "a payload")


def _no_number(text: str) -> None:
    raise ValueError(f"{text} in a payload")


def _checked(ids: list[str], rows: np.ndarray, payloads: list[Payload], dimension: int) -> np.ndarray:
    try:
        return validated_points(ids, rows, payloads, dimension)
    except CollectionError as error:
        raise ValueError(str(error)) from None


def _member(members: dict[str, ZipInfo], name: str) -> ZipInfo:
    """Return a member that must be there, and can be read."""
    if name not in members:
        raise ValueError(f"it has no {name}")
    return _usable(members[name])


def _usable(member: ZipInfo) -> ZipInfo:
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{member.filename} is encrypted, or packed in another way")
    return member


def _last_part(member: ZipInfo) -> str:
    return member.filename.rpartition("/")[2]


def _blocks(path: Path, archive: ZipFile, member: ZipInfo) -> Iterator[bytes]:
    with _damage(path), archive.open(member) as content:
        while block := content.read(1 << 20):
            yield block


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    with _damage(path):
        archive = ZipFile(path)
    with archive:
        yield archive


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what damaged or hostile bytes lead to into an error that names the archive."""
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError, OverflowError) as error:
        raise _damaged(path, error) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the file's beginning
            raise
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CollectionError:
    return CollectionError(f"{path} is not a cbir archive, or is damaged ({first_line(error)})")
