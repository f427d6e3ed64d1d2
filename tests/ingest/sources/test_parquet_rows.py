"""Parquet files of pictures, as img2dataset and Hugging Face's datasets write them."""

import json
from pathlib import Path

import pytest

from cbir.core.errors import CbirWarning
from cbir.ingest.sources.archive import ArchiveSource
from cbir.ingest.sources.catalogue import picture_opener
from cbir.ingest.sources.source import SourceError
from cbir.model.errors import ImageError
from tests.conftest import picture
from tests.ingest.sources.test_archive import png, tarred

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def test_tables_of_img2dataset_give_pictures_and_captions(tmp_path: Path):
    table = {
        "url": [f"http://x/{n}.jpg" for n in range(5)],
        "key": [f"{n:09d}" for n in range(5)],
        "status": ["success", "failed_to_download", "success", "success", "success"],
        "caption": ["a", "b", None, "d", "e"],
        "width": [1] * 5,
        "jpg": [None if n == 1 else png(n) for n in range(5)],
    }
    pq.write_table(pa.table(table), tmp_path / "00000.parquet", row_group_size=2)
    source = ArchiveSource(tmp_path / "00000.parquet")
    items = list(source.items())
    assert [item.uri for item in items] == ["000000000", "000000002", "000000003", "000000004"]
    assert [item.payload.get("caption") for item in items] == ["a", None, "d", "e"]
    assert "width" not in items[0].payload
    assert [item.content() for item in reversed(items)] == [png(n) for n in (4, 3, 2, 0)]
    assert [(left.reason, left.count) for left in source.left_out] == [("rows without a picture", 1)]
    assert source.found == 5
    assert picture_opener()(items[2].location).tobytes() == picture(3).tobytes()


def test_columns_that_have_the_names_of_cbirs_own_fields_are_told(tmp_path: Path):
    table = {"jpg": [png(0), png(1)], "member": ["anna", "ben"], "source": ["", None], "width": [1, 1], "x": [1, 2]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.warns(CbirWarning, match=r"a\.parquet: column\(s\) member left out, as cbir has fields of these"):
        items = list(ArchiveSource(tmp_path / "a.parquet").items())
    assert [(item.payload["x"], item.payload.get("member")) for item in items] == [(1, None), (2, None)]
    files = [(f"{number}.png", png(number)) for number in range(3)]
    said = json.dumps({"member": 1, "name": "Anna", "x": 1, "sha256": "0"}).encode()
    tarred(tmp_path / "a.tar", sorted([*files, *((f"{number}.json", said) for number in range(3))]))
    with pytest.warns(CbirWarning, match=r"column\(s\) member, name left out") as told:
        ArchiveSource(tmp_path / "a.tar")
    assert len(told) == 1


def test_tables_of_hugging_face_give_pictures_and_names_of_labels(tmp_path: Path):
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    table = pa.table(
        {
            "image": [{"bytes": png(n), "path": f"{n}.png"} for n in range(40)],
            "label": [n % 2 for n in range(40)],
        }
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=7)
    items = list(ArchiveSource(tmp_path / "train.parquet").items())
    assert [item.label for item in items] == ["cat", "dog"] * 20
    assert [item.uri for item in items[:2]] == ["00000000", "00000001"]
    assert [item.content() for item in items] == [png(n) for n in range(40)]


def test_a_row_without_a_picture_is_skipped_with_the_reason(tmp_path: Path):
    pq.write_table(pa.table({"jpg": pa.array([png(), None], pa.binary())}), tmp_path / "a.parquet")
    _, second = ArchiveSource(tmp_path / "a.parquet").items()
    with pytest.raises(ImageError, match=r"a\.parquet/00000001 holds no picture"):
        second.content()


def test_keys_that_come_twice_count_once(tmp_path: Path):
    pq.write_table(pa.table({"key": ["a", "a", "../b"], "jpg": [png(n) for n in range(3)]}), tmp_path / "a.parquet")
    source = ArchiveSource(tmp_path / "a.parquet")
    assert {item.uri: item.content() for item in source.items()} == {"a": png(1), "b": png(2)}


def test_what_is_no_table_of_pictures_says_so(tmp_path: Path):
    pq.write_table(pa.table({"url": ["a"], "caption": ["b"]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"no column of pictures' bytes; its columns are url, caption"):
        ArchiveSource(tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[:-20])
    with pytest.raises(SourceError, match=r"a\.parquet is no Parquet file that can be read"):
        ArchiveSource(tmp_path / "a.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pq.write_table(pa.table({"jpg": [png()]}), tmp_path / "a.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(SourceError, match=r"pip install '\.\[parquet\]'"):
        ArchiveSource(tmp_path / "a.parquet")
