"""Points as Parquet files that other tools load into Qdrant: Spark's connector, polars, DuckDB.

In: ids, features and payloads, batch by batch. Out: a folder of files for each set of fields that points have, so that
no column of a file lacks a value: Qdrant's connector for Spark would store null there, which no point of an ingest has.
Memory holds a bound of bytes, whatever the number of points and of sets, and each file is complete as soon as it is
there: a run that is killed loses some minutes of work.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cbir.collection.checks import validated_points
from cbir.collection.checksum import signed
from cbir.collection.point import CHECKSUM, Payload
from cbir.ingest.feature_parts import (
    ID,
    OURS,
    VECTOR,
    folder_of,
    part_of,
    parts,
    require_pyarrow,
    schema_of,
    write_part,
)

if TYPE_CHECKING:
    import pyarrow as pa

#: Bytes of a file at the most, before they are compressed, and of all that wait to be one.
_FILE, _HELD = 16 << 20, 64 << 20
#: Seconds that points wait at the most: so much is lost if the process is killed.
_SECONDS = 120.0
#: Bytes that a column of a batch takes beside its values.
_COLUMN = 500


@dataclass(slots=True)
class _Set:
    """A set of fields: the number of its folder, and that of its next file."""

    number: int
    next_file: int = 0


@dataclass(slots=True)
class _Waiting:
    """Points of a set of fields that are not written yet."""

    schema: "pa.Schema"
    since: float
    batches: list["pa.RecordBatch"] = field(default_factory=list)
    bytes: int = 0


class FeatureFiles:
    """Files of points; to be used in a `with` block.

    Parameters
    ----------
    folder : Path
        In it, each set of fields has a folder: `fields-1`, `fields-2`, ... What is there stays.
    dimension : int
        Values of a feature.

    Attributes
    ----------
    left_out : Counter
        Names of fields that no column can hold, such as a list of lists, to how many points lack them.

    Raises
    ------
    CbirError
        The extra `parquet` is not installed, or a file in the folder is damaged.
    """

    def __init__(self, folder: Path, dimension: int) -> None:
        require_pyarrow()
        self._folder = folder
        self._dimension = dimension
        self._sets: dict[bytes, _Set] = {}  # by a digest: their schemas take kilobytes each
        self._waiting: dict[bytes, _Waiting] = {}  # in the order in which they began to
        self._held = 0
        self.left_out: Counter[str] = Counter()
        for _, each in groupby(parts(folder), lambda part: part.folder):
            *_, last = each
            fields = {column.name: column.type for column in schema_of(last) if column.name not in OURS}
            self._sets[_key(fields)] = _Set(last.folder, last.number + 1)
        self._last = max((each.number for each in self._sets.values()), default=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or not issubclass(kind, OSError):  # what is encoded need not be encoded again
            for key in list(self._waiting):
                self._write(key)

    @property
    def sets(self) -> list[tuple[str, int, list[str]]]:
        """The folder's name, the number of points and the names of the fields of each set that is written."""
        found = []
        for number, each in groupby(parts(self._folder), lambda part: part.folder):
            first, *others = each
            points = first.points + sum(other.points for other in others)
            fields = [name for name in schema_of(first).names if name not in OURS]
            found.append((folder_of(self._folder, number).name, points, fields))
        return found

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
        rows: dict[bytes, list[int]] = {}
        for row, types in enumerate(kept):
            rows.setdefault(_key(types), []).append(row)
        whole = signed(
            ids,
            features,
            [{name: payload[name] for name in types} for payload, types in zip(payloads, kept, strict=True)],
        )
        for key, numbers in rows.items():
            waiting = self._waiting.get(key)
            if waiting is None:
                waiting = self._waiting[key] = _Waiting(_schema(kept[numbers[0]]), time.monotonic())
            self._hold(waiting, [ids[row] for row in numbers], features[numbers], [whole[row] for row in numbers])
            if waiting.bytes >= _FILE:
                self._write(key)
            if self._held >= _HELD:  # at once, the largest first: to look for each takes long where sets are many
                for largest in sorted(self._waiting, key=lambda other: -self._waiting[other].bytes):
                    self._write(largest)
                    if self._held < _HELD // 2:
                        break
        while self._waiting and time.monotonic() - next(iter(self._waiting.values())).since >= _SECONDS:
            self._write(next(iter(self._waiting)))

    def _kept(self, payload: Payload) -> dict[str, "pa.DataType"]:
        """Return the types of the fields that columns can hold."""
        types = held(payload)
        self.left_out.update(payload.keys() - types.keys())
        return types

    def _hold(self, waiting: _Waiting, ids: Sequence[str], features: np.ndarray, payloads: Sequence[Payload]) -> None:
        import pyarrow as pa

        starts = np.arange(len(ids) + 1, dtype=np.int32) * self._dimension
        vectors = pa.ListArray.from_arrays(pa.array(starts), pa.array(np.ravel(features)))
        schema = waiting.schema
        columns = [pa.array(ids), vectors]
        columns += [pa.array([payload[each.name] for payload in payloads], each.type) for each in list(schema)[2:]]
        batch = pa.RecordBatch.from_arrays(columns, schema=schema)
        waiting.batches.append(batch)
        size = batch.nbytes + _COLUMN * len(columns)
        waiting.bytes += size
        self._held += size

    def _write(self, key: bytes) -> None:
        """Write the points of a set of fields that wait into a file."""
        import pyarrow as pa

        waiting = self._waiting.pop(key)
        self._held -= waiting.bytes
        each = self._sets.get(key)
        if each is None:
            self._last += 1
            each = self._sets[key] = _Set(self._last)
        file = part_of(folder_of(self._folder, each.number), each.next_file)
        write_part(file, pa.Table.from_batches(waiting.batches))
        each.next_file += 1


def held(payload: Mapping[str, Any]) -> dict[str, "pa.DataType"]:
    """Return the types of the fields that columns can hold; a field of another name or kind is not among them."""
    kinds = {name: _type(value) for name, value in payload.items() if name not in OURS}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _key(types: Mapping[str, "pa.DataType"]) -> bytes:
    """Return what tells a set of fields from others."""
    text = repr(sorted((name, str(kind)) for name, kind in types.items()))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _schema(types: Mapping[str, "pa.DataType"]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [(ID, pa.string()), (VECTOR, pa.list_(pa.float32())), *sorted(types.items()), (CHECKSUM, pa.string())]
    )


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
