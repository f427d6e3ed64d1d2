"""The pictures in the rows of a Parquet file, as img2dataset and Hugging Face's datasets write them.

A picture is the bytes in one column; the other columns say something about it.
Rows are read group by group, so that memory holds a few pictures, not a file.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.core.errors import first_line
from cbir.core.extras import to_install
from cbir.ingest.sources.members import ArchiveError, Member, MemberError, Wanted, refuse_size
from cbir.ingest.sources.spool import Spool
from cbir.model.picture import MAX_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC = b"PAR1"
#: Columns of pictures, the likeliest first; a column that holds records of `bytes` and `path` is one as well.
_PICTURES = ("jpg", "jpeg", "png", "webp", "image", "img", "picture", "image_bytes", "bytes", "content")
_KEYS = ("key", "__key__")
_ROWS = 1000
_PICTURES_AT_ONCE = 16
#: Bytes that are read at once: without it, Arrow reads a whole group's pictures, some hundred megabytes.
_BUFFER = 1 << 20


def is_parquet(head: bytes) -> bool:
    """Tell whether a file begins as Parquet does."""
    return head.startswith(_MAGIC)


class ParquetRows:
    """A Parquet file, to be listed once, and read from in any thread.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ArchiveError
        The extra `parquet` is not installed, the file is damaged, or no column holds pictures.
    """

    forward_only = True
    beside = False
    checked = False

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet as pq
        except ImportError:
            raise ArchiveError(f"{path} is a Parquet file; to read it: {to_install('parquet')}") from None
        self._path = path
        self.problems: list[str] = []
        try:
            with pq.ParquetFile(_readable(path)) as file:
                schema = file.schema_arrow
                groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        except Exception as error:  # noqa: BLE001 - Arrow has errors of its own for each kind of damage
            raise ArchiveError(f"{path} is no Parquet file that can be read: {first_line(error)}") from None
        self._column, self._leaf = _picture_column(schema, path)
        self._others = [name for name in schema.names if name != self._column and _is_plain(schema.field(name).type)]
        self._names = _label_names(schema)
        self._spool = Spool(self._contents, jump=max(groups, default=1))

    def listed(self, wanted: Wanted) -> Iterator[Member]:  # noqa: ARG002 - a row has its columns instead
        """Yield a member for each row, by its key if it has one, else by its number; the pictures are not read."""
        import pyarrow.parquet as pq

        row = 0
        try:
            with pq.ParquetFile(_readable(self._path)) as file:
                if not self._others:
                    for row in range(file.metadata.num_rows):
                        yield Member(_numbered(row), -1, 0, (row,))
                    return
                for batch in file.iter_batches(_ROWS, columns=self._others, use_threads=False):
                    for columns in batch.to_pylist():
                        yield self._member(row, columns)
                        row += 1
        except Exception as error:  # noqa: BLE001 - as above
            self.problems.append(f"it is damaged after {row:,} rows: {first_line(error)}")

    def read(self, member: Member, most: int = MAX_BYTES) -> bytes:
        """Return a row's picture; see `Members.read`."""
        try:
            content = self._spool.get(member.place[0])
        except Exception as error:  # noqa: BLE001 - as above
            raise MemberError(f"cannot be read: {first_line(error)}") from None
        if not content:
            raise MemberError("holds no picture")
        if problem := refuse_size(len(content), len(content), most):
            raise MemberError(problem)
        return content

    def _member(self, row: int, columns: dict[str, Any]) -> Member:
        key = next((str(columns[name]) for name in _KEYS if columns.get(name) not in (None, "")), _numbered(row))
        failed = columns.get("status") not in (None, "success")  # as img2dataset says of what it could not fetch
        label = columns.get("label")
        if isinstance(label, int) and 0 <= label < len(self._names):
            columns["label"] = self._names[label]
        return Member(key, -1, 0, (row,), left_out="rows without a picture" if failed else "", columns=columns)

    def _contents(self, wanted: int) -> Iterator[tuple[int, bytes]]:
        """Yield the pictures from the group of rows on that a row is in."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(_readable(self._path), buffer_size=_BUFFER, pre_buffer=False) as file:
            sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
            first, row = 0, 0
            while first < len(sizes) and row + sizes[first] <= wanted:
                row, first = row + sizes[first], first + 1
            groups = list(range(first, len(sizes)))
            column = [f"{self._column}.{self._leaf}" if self._leaf else self._column]
            for batch in file.iter_batches(_PICTURES_AT_ONCE, row_groups=groups, columns=column, use_threads=False):
                for value in batch.column(0):
                    content = value.as_py()
                    yield row, (content[self._leaf] if self._leaf and content else content) or b""
                    row += 1


def _readable(path: Any) -> Any:
    """Return what Arrow reads: a path, or an object in storage as a file."""
    return path if isinstance(path, Path) else path.open("rb")


def _picture_column(schema: "pa.Schema", path: Path) -> tuple[str, str]:
    """Return the name of the column that holds pictures, and of the part of it that does; empty if it is whole."""
    import pyarrow.types as kinds

    def holds_bytes(kind: "pa.DataType") -> bool:
        return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))

    whole = [name for name in schema.names if holds_bytes(schema.field(name).type)]
    records = [
        name
        for name in schema.names
        if kinds.is_struct(kind := schema.field(name).type)
        and kind.get_field_index("bytes") >= 0
        and holds_bytes(kind.field("bytes").type)
    ]
    found = [name for name in _PICTURES if name in whole or name in records] or (records + whole)
    if not found:
        raise ArchiveError(f"{path} has no column of pictures' bytes; its columns are {', '.join(schema.names)}")
    return found[0], "bytes" if found[0] in records else ""


def _is_plain(kind: "pa.DataType") -> bool:
    import pyarrow.types as kinds

    tests = (kinds.is_integer, kinds.is_floating, kinds.is_string, kinds.is_large_string, kinds.is_boolean)
    return any(test(kind) for test in tests)


def _label_names(schema: "pa.Schema") -> Sequence[str]:
    """Return the names of the class numbers, which Hugging Face's datasets keep beside the schema."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features["label"]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    return [str(name) for name in names] if isinstance(names, list) else ()


def _numbered(row: int) -> str:
    return f"{row:08d}"
