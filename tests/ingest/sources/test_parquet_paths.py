"""A table of paths is a list; a table of pictures is an archive."""

from pathlib import Path

import pytest

import cbir
from cbir.ingest.sources.arguments import open_sources
from cbir.ingest.sources.source import SourceError

pa = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.mark.usefixtures("home")
def test_paths_are_entries(pictures: Path, tmp_path: Path):
    paths = [*map(str, sorted(pictures.rglob("*.png"))), "", None, str(tmp_path / "nowhere.png")]
    table = tmp_path / "found.parquet"
    pq.write_table(pa.table({"caption": ["x"] * len(paths), "path": paths}), table)
    report = cbir.ingest(table, encoder="pixels")
    assert report.collection == "found"
    assert (report.found, report.ingested, report.skipped) == (7, 6, 1)


def test_bytes_are_pictures_whatever_else_there_is(pictures: Path, tmp_path: Path):
    files = sorted(pictures.rglob("*.png"))
    table = tmp_path / "whole.parquet"
    columns = {"jpg": [file.read_bytes() for file in files], "path": [str(file) for file in files]}
    pq.write_table(pa.table(columns), table)
    assert [item.uri for item in open_sources([str(table)]).items()] == [f"{row:08d}" for row in range(6)]


def test_neither_is_refused(tmp_path: Path):
    table = tmp_path / "words.parquet"
    pq.write_table(pa.table({"caption": ["a cat"]}), table)
    with pytest.raises(SourceError, match="has no column of pictures' bytes; its columns are caption"):
        open_sources([str(table)])
