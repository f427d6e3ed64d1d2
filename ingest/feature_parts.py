"""Parquet files of points, as `cbir.ingest.feature_files` writes them: each complete or not there, and read again.

In: the folder, in which each set of fields has a folder of files: `fields-1/part-00000.parquet` and so on.
Out: the points that an earlier run wrote, in the order of the files; those that are no longer right are taken out.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.collection.point import CHECKSUM, Page, Payload
from cbir.core.atomic import atomic_file
from cbir.core.errors import CbirError
from cbir.core.extras import to_install
from cbir.core.leftover import remove
from cbir.core.partial import is_partial

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns of a point before the fields of its payload; the checksum comes last.
ID, VECTOR = "_id", "_vector"
OURS = (ID, VECTOR, CHECKSUM)

_FOLDER = re.compile(r"fields-([1-9]\d*)")
_PART = re.compile(r"part-(\d{5,})\.parquet")
#: Points that are read at once.
_PAGE = 4096
#: Files whose payloads are held, of those that are asked for single ones.
_HELD = 4


@dataclass(frozen=True)
class Part:
    """A file of points.

    Attributes
    ----------
    path : Path
    folder, number : int
        In its folder's name and in its own.
    points : int
    """

    path: Path
    folder: int
    number: int
    points: int


def require_pyarrow() -> None:
    """Raise CbirError where the extra `parquet` is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise CbirError(f"--parquet needs pyarrow: {to_install('parquet')}") from None


def folder_of(folder: Path, number: int) -> Path:
    """Return the folder of a set of fields."""
    return folder / f"fields-{number}"


def part_of(folder: Path, number: int) -> Path:
    """Return a file in such a folder."""
    return folder / f"part-{number:05}.parquet"


def parts(folder: Path) -> list[Part]:
    """Return the files of a folder of features, those of a set of fields after each other.

    Raises
    ------
    CbirError
        One of them is none, or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = []
    for inner in folder.iterdir():
        if (of := _FOLDER.fullmatch(inner.name)) is None:
            continue
        for path in inner.iterdir():
            if (number := _PART.fullmatch(path.name)) is not None:
                try:
                    points = pq.read_metadata(path).num_rows
                except pa.ArrowException:
                    raise _damaged(path) from None
                found.append(Part(path, int(of[1]), int(number[1]), points))
    return sorted(found, key=lambda part: (part.folder, part.number))


def write_part(path: Path, table: "pa.Table") -> None:
    """Write a file of points, completely or not at all.

    Raises
    ------
    OSError
        The disk is full, or fails.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [column.name for column in table.schema if column.type == pa.string() and column.name != ID]
    with atomic_file(path) as partial:
        pq.write_table(table, partial, row_group_size=max(1, len(table)), use_dictionary=texts)


def sweep(folder: Path) -> None:
    """Remove what a killed run left half written, and folders that hold nothing; nobody else may be writing there."""
    for inner in (folder, *folder.glob("fields-*")):
        for path in inner.glob(".*"):
            if is_partial(path):
                remove(path)
        if inner != folder and _FOLDER.fullmatch(inner.name) and not any(inner.iterdir()):
            inner.rmdir()


class FeatureParts:
    """The points in a folder of features; each has a number, from 1 on, in the order in which they are read.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    CbirError
        A file of it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        require_pyarrow()
        self._folder = folder
        self._parts = parts(folder)
        self._ends = np.cumsum([part.points for part in self._parts], dtype=np.int64)
        self._payloads = functools.lru_cache(maxsize=_HELD)(_payloads_in)

    def count(self) -> int:
        """Return the number of points."""
        return int(self._ends[-1]) if self._parts else 0

    def scroll(self, *, vectors: bool = False, fields: Sequence[str] = ()) -> Iterator[Page]:
        """Yield all points, with these fields of their payloads, and no vectors."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if vectors:
            raise ValueError("no vectors are read")
        for part in self._parts:
            try:
                with pq.ParquetFile(part.path) as file:
                    there = [ID, *(name for name in fields if name in file.schema_arrow.names)]
                    for batch in file.iter_batches(_PAGE, columns=there):
                        rows = batch.to_pylist()
                        ids = [row.pop(ID) for row in rows]
                        yield Page(ids, np.empty((len(ids), 0), np.float32), rows)
            except (pa.ArrowException, OSError) as error:
                raise _damaged(part.path) from error

    def payloads_of(self, numbers: Mapping[str, int]) -> dict[str, Payload]:
        """Return the payloads of points, by their ids; given are their numbers."""
        found = {}
        for identity, number in numbers.items():
            part = int(np.searchsorted(self._ends, number))
            row = number - 1 - (int(self._ends[part]) - self._parts[part].points)
            (found[identity],) = self._payloads(self._parts[part].path).slice(row, 1).to_pylist()
        return found

    def take_out(self, numbers: np.ndarray) -> None:
        """Remove points, whose numbers are sorted: the last that is done, as the others have new numbers then."""
        import pyarrow.parquet as pq

        for part, end in zip(self._parts, self._ends, strict=True):
            start = end - part.points
            first, last = np.searchsorted(numbers, (start + 1, end + 1))
            if last - first == part.points:
                part.path.unlink()
            elif last > first:
                kept = np.ones(part.points, bool)
                kept[numbers[first:last] - 1 - start] = False
                write_part(part.path, pq.read_table(part.path, partitioning=None).filter(kept))
        sweep(self._folder)


def _payloads_in(path: Path) -> "pa.Table":
    import pyarrow.parquet as pq

    table = pq.read_table(path, partitioning=None)
    return table.drop_columns([name for name in OURS if name in table.column_names])


def _damaged(path: Path) -> CbirError:
    return CbirError(f"{path} is damaged: remove it, and run the same command again to write what was in it")


def schema_of(part: Part) -> Any:
    """Return a file's columns and their types."""
    import pyarrow.parquet as pq

    return pq.read_schema(part.path).remove_metadata()
