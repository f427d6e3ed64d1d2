"""Points as Parquet files that other tools load into Qdrant: Spark's connector, polars, DuckDB.

In: ids, features and payloads, batch by batch. Out: a folder of files for each set of fields that points have, so that
no column of a file lacks a value: Qdrant's connector for Spark would store null there, which no point of an ingest has.
Memory holds some row groups, whatever the number of points.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cbir.collection.checks import validated_points
from cbir.collection.checksum import signed
from cbir.collection.point import CHECKSUM, Payload
from cbir.core.errors import CbirError
from cbir.core.extras import to_install

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns of a point before the fields of its payload; the checksum comes last. Fields of these names are left out.
ID, VECTOR = "_id", "_vector"
_OURS = (ID, VECTOR, CHECKSUM)
#: Bytes of a row group at the most, and of all that wait to be one.
_GROUP, _HELD = 16 << 20, 64 << 20
#: Files that are open at once; a set of fields whose file was closed goes on in another.
_OPEN = 64


@dataclass
class _Fields:
    """A set of fields, and the files of the points that have it."""

    folder: Path
    schema: "pa.Schema"
    points: int = 0
    files: int = 0
    waiting: list["pa.RecordBatch"] = field(default_factory=list)
    bytes: int = 0
    writer: Any = None


class FeatureFiles:
    """Files of points; to be used in a `with` block.

    Parameters
    ----------
    folder : Path
        An empty one, in which each set of fields has a folder: `fields-1`, `fields-2`, ...
    dimension : int
        Values of a feature.

    Attributes
    ----------
    left_out : Counter
        Names of fields that no column can hold, such as a list of lists, to how many points lack them.

    Raises
    ------
    CbirError
        The extra `parquet` is not installed.
    """

    def __init__(self, folder: Path, dimension: int) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise CbirError(f"--parquet needs pyarrow: {to_install('parquet')}") from None
        self._folder = folder
        self._dimension = dimension
        self._sets: dict[tuple[Any, ...], _Fields] = {}
        self._open: dict[str, _Fields] = {}  # in the order in which they were written to last
        self.left_out: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for each in self._sets.values():
                self._write(each)
        for each in list(self._open.values()):
            self._close(each)

    @property
    def sets(self) -> list[tuple[str, int, list[str]]]:
        """The folder's name, the number of points and the names of the fields of each set."""
        return [(each.folder.name, each.points, each.schema.names[2:-1]) for each in self._sets.values()]

    def write(self, ids: Sequence[str], features: np.ndarray, payloads: Sequence[Payload]) -> None:
        """Write some points, as an upsert would store them: with a checksum each.

        Parameters
        ----------
        ids : sequence of str
            UUIDs.
        features : ndarray of float32, shape (n, d)
        payloads : sequence of dict

        Raises
        ------
        CollectionError
            What no collection takes, such as NaN.
        OSError
            The disk is full, or fails.
        """
        features = validated_points(ids, features, payloads, self._dimension)
        kept = [self._kept(payload) for payload in payloads]
        rows: dict[tuple[Any, ...], list[int]] = {}
        for row, types in enumerate(kept):
            rows.setdefault(tuple(sorted((name, str(kind)) for name, kind in types.items())), []).append(row)
        whole = signed(
            ids,
            features,
            [{name: payload[name] for name in types} for payload, types in zip(payloads, kept, strict=True)],
        )
        for key, numbers in rows.items():
            each = self._sets.get(key) or self._new(key, kept[numbers[0]])
            self._hold(each, [ids[row] for row in numbers], features[numbers], [whole[row] for row in numbers])

    def _kept(self, payload: Payload) -> dict[str, "pa.DataType"]:
        """Return the types of the fields that columns can hold."""
        kinds = {name: _type(value) for name, value in payload.items()}
        lost = [name for name, kind in kinds.items() if kind is None or name in _OURS]
        self.left_out.update(lost)
        return {name: kind for name, kind in kinds.items() if name not in lost}

    def _new(self, key: tuple[Any, ...], types: Mapping[str, "pa.DataType"]) -> _Fields:
        import pyarrow as pa

        columns = [(ID, pa.string()), (VECTOR, pa.list_(pa.float32())), *sorted(types.items()), (CHECKSUM, pa.string())]
        each = _Fields(self._folder / f"fields-{len(self._sets) + 1}", pa.schema(columns))
        each.folder.mkdir()
        self._sets[key] = each
        return each

    def _hold(self, each: _Fields, ids: Sequence[str], features: np.ndarray, payloads: Sequence[Payload]) -> None:
        import pyarrow as pa

        starts = np.arange(len(ids) + 1, dtype=np.int32) * self._dimension
        vectors = pa.ListArray.from_arrays(pa.array(starts), pa.array(np.ravel(features)))
        columns = [pa.array(ids), vectors]
        columns += [pa.array([payload[each.name] for payload in payloads], each.type) for each in list(each.schema)[2:]]
        batch = pa.RecordBatch.from_arrays(columns, schema=each.schema)
        each.waiting.append(batch)
        each.bytes += batch.nbytes
        each.points += len(ids)
        if each.bytes >= _GROUP:
            self._write(each)
        if sum(other.bytes for other in self._sets.values()) >= _HELD:
            self._write(max(self._sets.values(), key=lambda other: other.bytes))

    def _write(self, each: _Fields) -> None:
        """Write what waits as a row group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not each.waiting:
            return
        name = each.folder.name
        if each.writer is None:
            if len(self._open) >= _OPEN:
                self._close(next(iter(self._open.values())))
            file = each.folder / f"part-{each.files:05}.parquet"
            texts = [column.name for column in each.schema if column.type == pa.string() and column.name != ID]
            each.writer = pq.ParquetWriter(file, each.schema, use_dictionary=texts)
            each.files += 1
        self._open.pop(name, None)
        self._open[name] = each
        table = pa.Table.from_batches(each.waiting)
        each.writer.write_table(table, row_group_size=len(table))
        each.waiting, each.bytes = [], 0

    def _close(self, each: _Fields) -> None:
        writer, each.writer = each.writer, None
        self._open.pop(each.folder.name)
        writer.close()


def _type(value: Any) -> "pa.DataType | None":
    """Return the type of a column that holds a value of a payload, and gives it back; None if there is none."""
    import pyarrow as pa

    if value is None or isinstance(value, str):
        return pa.string()
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64()
    if isinstance(value, float):
        return pa.float64()
    if isinstance(value, dict):
        inner = {name: _type(each) for name, each in value.items()}
        return pa.struct(sorted(inner.items())) if inner and None not in inner.values() else None
    return _list_type(value) if isinstance(value, (list, tuple)) else None


def _list_type(values: Sequence[Any]) -> "pa.DataType | None":
    import pyarrow as pa

    if any(value is None or isinstance(value, (list, tuple)) for value in values):
        return None  # the connector makes null or 0 of these
    kinds = list(_distinct(_type(value) for value in values)) or [pa.string()]
    return None if len(kinds) > 1 or kinds[0] is None else pa.list_(kinds[0])


def _distinct(kinds: Iterator["pa.DataType | None"]) -> list["pa.DataType | None"]:
    found: list[pa.DataType | None] = []
    for kind in kinds:
        if kind not in found:
            found.append(kind)
    return found
