"""What the files of a listing are labelled with: the folders they are in, or a table.

In: a listing, and what a choice says about labels. Out: a label for each file,
and further fields of its payload. Tables are `.csv`, `.jsonl` and `.parquet`
files; their rows go into the listing, none stay in memory.
"""

import json
import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from cbir.collection.fields import FIELDS
from cbir.collection.point import Label
from cbir.core.disk import expanded
from cbir.core.errors import CbirWarning, first_line
from cbir.core.extras import to_install
from cbir.core.uris import folder_and_name, path_of, shown, uri_of
from cbir.ingest.sources.choice import MODES
from cbir.ingest.sources.listing import Files, Listed, Listing
from cbir.ingest.sources.source import SourceError

#: What a table may call the column of the pictures; `file_name` stands in the metadata of Hugging Face's data sets.
URI_COLUMNS = ("uri", "file_name", "filename", "path", "file")

#: Fields of the payload that a table cannot set.
_OWN = frozenset(field.name for field in FIELDS) - {"label"}
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


class Labels:
    """Labels and further payload fields of a listing's files.

    Parameters
    ----------
    choice : str
        `auto`, `folder`, `none`, or the path of a table.
    listing : Listing
        Complete.
    root : str
        What the uris of a table are relative to, as an absolute path; for a table with absolute paths.

    Raises
    ------
    SourceError
        A table that is missing or damaged; the message has the line.
    """

    def __init__(self, choice: str, listing: Listing, root: str) -> None:
        self._table: _Columns | None = None
        self._by_folder = choice == "folder"
        self._auto = choice == "auto"
        if choice not in MODES:
            self._table = _read_table(expanded(choice), listing, root)

    def of(self, files: Files, part: bytes = b"") -> "Labelling":
        """Return the labelling of some files.

        Parameters
        ----------
        files : Files
        part : bytes
            The folder that they are all in, which counts as their root: `database`.
        """
        if self._table is not None:
            return Labelling(table=self._table)
        if self._by_folder or (self._auto and files.depths() == _class_folders(part)):
            return Labelling(folders=True)
        return Labelling()


def _class_folders(part: bytes) -> tuple[int, int]:
    """Return the depths of class folders: right below the root, and nothing beside or below them."""
    depth = part.count(b"/") + 2 if part else 1
    return depth, depth


@dataclass(frozen=True)
class Labelling:
    """How files are labelled: by the folder they are in, by a table, or not at all."""

    folders: bool = False
    table: "_Columns | None" = None

    def __call__(self, file: Listed) -> tuple[Label | None, Mapping[str, Any]]:
        """Return a file's label, and further fields of its payload."""
        if self.table is not None:
            return self.table.values(file)
        if self.folders and file.folder:
            return _name_of(file.folder), {}
        return None, {}


@lru_cache(maxsize=64)
def _name_of(folder: bytes) -> str:
    return folder_and_name(uri_of(os.fsdecode(folder)))[1]


@dataclass
class _Columns:
    """What a table's texts stand for, column by column: a column of whole numbers holds numbers."""

    texts: bool
    kinds: dict[str, type] = field(default_factory=dict)

    def see(self, name: str, text: str) -> None:
        """Widen a column's kind to hold a text."""
        kind = self.kinds.get(name, int)
        if kind is int and not _WHOLE.fullmatch(text):
            kind = float
        if kind is float and not (_NUMBER.fullmatch(text) and math.isfinite(float(text))):
            kind = str
        self.kinds[name] = kind

    def values(self, file: Listed) -> tuple[Label | None, Mapping[str, Any]]:
        """Return a file's label and columns."""
        columns = json.loads(file.columns) if file.columns else {}
        label: Any = file.label
        if self.texts:
            columns = {name: self.kinds[name](text) for name, text in columns.items()}
            if label is not None and self.kinds["label"] is int:  # else a name, also if it looks like 0.5
                label = int(label)
        return label, columns


#: A line number, the uri, the label, and the other columns.
_Row = tuple[int, str, Any, dict[str, Any]]


def _read_table(path: Path, listing: Listing, root: str) -> _Columns:
    """Put the rows of a table into the listing, and warn of those that say nothing about its files."""
    readers = {".csv": _csv_rows, ".tsv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise SourceError(
            f"labels '{shown(str(path))}' must be {', '.join(MODES)}, or a .csv, .jsonl or .parquet file "
            "with the columns uri and label"
        )
    columns = _Columns(texts=reader is _csv_rows)
    refused: set[str] = set()
    name = shown(str(path))
    try:
        labelled = listing.add_labels(_prepared(reader(path), path, columns, root, refused))
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{name} is not UTF-8 text: {error.reason} at byte {error.start:,}") from None
    example = f", such as {shown(labelled.example)}" if labelled.example else ""
    if not labelled.rows:
        raise SourceError(
            f"{name} names no picture that is here; it has {labelled.unknown:,} rows{example}. "
            "A uri is the picture's path relative to the folder"
        )
    told = []
    if labelled.unknown:
        told.append(f"{labelled.unknown:,} of its rows name no picture that is here{example}")
    if labelled.rows > labelled.files:
        told.append(f"{labelled.rows - labelled.files:,} of its rows name a picture again; the last one counts")
    if refused:
        told.append(f"column(s) {', '.join(map(shown, sorted(refused)))} left out, as cbir has fields of these names")
    if told:
        warnings.warn(f"{name}: {'; '.join(told)}", CbirWarning, stacklevel=2)
    return columns


def _prepared(
    rows: Iterable[_Row], path: Path, columns: _Columns, root: str, refused: set[str]
) -> Iterator[tuple[str, Any, str | None]]:
    """Yield path, label, and the other columns as JSON, of each row."""
    for number, uri, label, others in rows:
        if not uri:
            raise SourceError(f"{shown(str(path))}, line {number:,}: no uri")
        refused.update(_OWN & others.keys())
        cleaned = {_text(name): _cleaned(value) for name, value in others.items() if name not in _OWN}
        kept = {name: value for name, value in cleaned.items() if name and value not in (None, "")}
        if columns.texts:
            label = label or None
            for name, text in (("label", label), *kept.items()):
                if text is not None:
                    columns.see(name, text)
        elif not _is_label(label):
            raise SourceError(
                f"{shown(str(path))}, line {number:,}: label must be a whole number or text, not {shown(repr(label))}"
            )
        elif isinstance(label, str):
            label = _text(label)
        yield _relative(uri, root), label, json.dumps(kept, ensure_ascii=False) if kept else None


def _is_label(label: Any) -> bool:
    if isinstance(label, int) and not isinstance(label, bool):
        return _LEAST <= label <= _MOST
    return label is None or isinstance(label, str)


def _cleaned(value: Any) -> Any:
    """Return a value as a payload can hold it; None for what it cannot: bytes, infinite numbers."""
    if value is None or isinstance(value, bool) or (isinstance(value, int) and _LEAST <= value <= _MOST):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_text(str(name)): _cleaned(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(each) for each in value]
    if isinstance(value, bytes):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _text(text: str) -> str:
    """Return valid text: JSON can spell halves of characters."""
    return text.encode(errors="replace").decode()


def _relative(uri: str, root: str) -> str:
    """Return the relative path that a table's uri stands for; people write `./cats/1.png` and absolute paths too."""
    path = path_of(uri)
    if os.sep != "/":
        path = path.replace(os.sep, "/")
    return path.removeprefix(root.rstrip("/") + "/").removeprefix("./")


def _csv_rows(path: Path) -> Iterator[_Row]:
    import csv

    csv.field_size_limit(1 << 24)
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=head.count)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            place = _uri_column(header, path)
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise SourceError(
                        f"{shown(str(path))}, line {reader.line_num:,}: {len(row)} values, but {len(header)} columns"
                    )
                values = dict(zip(header, row, strict=True))
                uri = values.pop(header[place])
                yield reader.line_num, uri, values.pop("label", None), values
        except csv.Error as error:
            raise SourceError(f"{shown(str(path))}, line {reader.line_num:,}: {error}") from None


def _jsonl_rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                values = json.loads(line, parse_constant=_no_number)
            except (ValueError, RecursionError) as error:
                raise SourceError(f"{shown(str(path))}, line {number:,}: no JSON: {first_line(error)}") from None
            if not isinstance(values, dict):
                raise SourceError(f"{shown(str(path))}, line {number:,}: no JSON object")
            column = next((name for name in URI_COLUMNS if name in values), None)
            if column is None or not isinstance(values[column], str):
                raise SourceError(f"{shown(str(path))}, line {number:,}: no uri")
            yield number, values.pop(column), values.pop("label", None), values


def _parquet_rows(path: Path) -> Iterator[_Row]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise SourceError(f"reading {shown(str(path))} needs pyarrow: {to_install('parquet')}") from None
    if not path.exists():
        raise FileNotFoundError(2, os.strerror(2))
    try:
        with ParquetFile(path) as file:
            names = file.schema_arrow.names
            column = names[_uri_column(names, path)]
            number = 0
            for batch in file.iter_batches(10_000):
                for values in batch.to_pylist():
                    number += 1
                    yield number, str(values.pop(column) or ""), values.pop("label", None), values
    except ArrowException as error:
        raise SourceError(f"{shown(str(path))} is no Parquet file, or damaged: {first_line(error)}") from None


def _uri_column(names: list[str], path: Path) -> int:
    for name in URI_COLUMNS:
        if name in names:
            return names.index(name)
    columns = ", ".join(map(shown, names)) or "none"
    raise SourceError(f"{shown(str(path))} has no column 'uri'; its columns are {columns}")


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no number")
