"""The paths and addresses in a column of a Parquet file, as tables have them whose pictures lie elsewhere.

In: a Parquet file. Out: the entries of a list, as `cbir.ingest.sources.entries` has those of a text.
"""

from collections.abc import Iterator
from pathlib import Path

from cbir.core.errors import first_line
from cbir.ingest.sources.parquet_rows import ParquetRows
from cbir.ingest.sources.source import SourceError

#: Columns of paths or addresses, the likeliest first.
_COLUMNS = ("path", "file", "file_name", "filename", "image_path", "uri", "url", "image_url")
_ROWS = 10_000


def column_of_paths(path: str) -> str | None:
    """Return the name of a Parquet file's column of paths; None if it has none, or has the pictures themselves."""
    try:
        ParquetRows(Path(path))
    except SourceError:
        pass
    else:
        return None
    try:
        import pyarrow.parquet as pq
        import pyarrow.types as kinds

        schema = pq.read_schema(path)
    except Exception:  # noqa: BLE001 - Arrow has errors of its own; what opens the file as an archive tells them
        return None
    texts = {each.name for each in schema if kinds.is_string(each.type) or kinds.is_large_string(each.type)}
    return next((name for name in _COLUMNS if name in texts), None)


def paths_in(path: str) -> Iterator[str]:
    """Yield the entries of a Parquet file's column of paths, without empty ones.

    Raises
    ------
    SourceError
        It is damaged.
    """
    import pyarrow.parquet as pq

    column = column_of_paths(path)
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS, columns=[column], use_threads=False):
                yield from (entry for entry in batch.column(0).to_pylist() if entry)
    except Exception as error:  # noqa: BLE001 - as above
        raise SourceError(f"{path} cannot be read: {first_line(error)}") from None
