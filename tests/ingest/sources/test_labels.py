"""Labels and further columns come from tables, wherever the table's rows are odd."""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.core.errors import CbirError, CbirWarning
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.source import STAMP, SourceError

OURS = {"folder", "name", *STAMP}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with five pictures, as far as their names say."""
    for name in ("cats/1.png", "cats/2.png", "dogs/3.png", "Ka\u0308se.png", "./12:30.png"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).touch()
    return tmp_path / "root"


def labelled(root: Path, table: Path) -> dict[str, tuple[Any, dict[str, Any]]]:
    items = FolderSource(root, Choice(labels=str(table))).items()
    return {item.uri: (item.label, {k: v for k, v in item.payload.items() if k not in OURS}) for item in items}


def csv(root: Path, text: str, name: str = "labels.csv") -> Path:
    (root.parent / name).write_text(text, encoding="utf-8", newline="")
    return root.parent / name


def test_a_csv_file_labels_pictures_and_adds_columns(root: Path):
    table = csv(
        root,
        "\ufeffuri,label,rating,weight,note\r\ncats/1.png,tabby,5,0.5,\"sleeps, mostly\"\r\n"
        "./dogs/3.png,\"great\ndane\",,7,\r\nK\u00e4se.png,,3,1e3,x\r\n\r\n./12:30.png,12,0,0,\r\n",
    )  # fmt: skip
    assert labelled(root, table) == {
        "cats/1.png": ("tabby", {"rating": 5, "weight": 0.5, "note": "sleeps, mostly"}),
        "cats/2.png": (None, {}),
        "dogs/3.png": ("great\ndane", {"weight": 7.0}),
        "Ka\u0308se.png": (None, {"rating": 3, "weight": 1000.0, "note": "x"}),
        "./12:30.png": ("12", {"rating": 0, "weight": 0.0}),
    }


def test_a_column_of_whole_numbers_holds_numbers_and_any_other_texts(root: Path):
    numbers = labelled(root, csv(root, "uri;label;ward\ncats/1.png;7;007\ncats/2.png;-1;12\n"))
    assert (numbers["cats/1.png"], numbers["cats/2.png"]) == ((7, {"ward": "007"}), (-1, {"ward": "12"}))
    texts = labelled(root, csv(root, "path\tlabel\ncats/1.png\t0.5\ncats/2.png\t1\n", "labels.tsv"))
    assert (texts["cats/1.png"], texts["cats/2.png"]) == (("0.5", {}), ("1", {}))
    huge = labelled(root, csv(root, f"uri,label,far\ncats/1.png,{'9' * 30},1e999\n"))
    assert huge["cats/1.png"] == ("9" * 30, {"far": "1e999"})


def test_a_jsonl_file_keeps_the_types_that_it_has(root: Path):
    rows = [
        {"file_name": "cats/1.png", "label": 7, "tags": ["a", "b"], "more": {"x": None}, "far": 10**30, "none": None},
        {"file_name": str(root / "cats" / "2.png"), "label": "7", "bad": "\ud800"},
        {"file_name": "dogs/3.png"},
    ]
    table = csv(root, "\n".join(map(json.dumps, rows)) + "\n\n", "labels.jsonl")
    found = labelled(root, table)
    assert found["cats/1.png"] == (7, {"tags": ["a", "b"], "more": {"x": None}, "far": 1e30})
    assert found["cats/2.png"] == ("7", {"bad": "?"})
    assert found["dogs/3.png"] == (None, {})


def test_a_parquet_file_is_read(root: Path):
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    import datetime
    from decimal import Decimal

    table = arrow.table(
        {
            "uri": ["cats/1.png", "cats/2.png", "dogs/3.png"],
            "label": [1, None, 3],
            "when": [datetime.date(2024, 5, 1), None, None],
            "weight": [0.5, float("nan"), float("inf")],
            "price": [Decimal("1.50"), None, None],
            "thumb": [b"x", b"y", b"z"],
        }
    )
    parquet.write_table(table, root.parent / "labels.parquet")
    found = labelled(root, root.parent / "labels.parquet")
    assert found["cats/1.png"] == (1, {"when": "2024-05-01", "weight": 0.5, "price": "1.50"})
    assert (found["cats/2.png"], found["dogs/3.png"]) == ((None, {}), (3, {}))
    (root.parent / "labels.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(SourceError, match=r"labels.parquet is no Parquet file, or damaged"):
        labelled(root, root.parent / "labels.parquet")
    with pytest.raises(SourceError, match=r"gone.parquet cannot be read: No such file"):
        labelled(root, root.parent / "gone.parquet")


def test_without_pyarrow_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (root.parent / "labels.parquet").touch()
    with pytest.raises(SourceError, match=r"needs pyarrow: pip install '\.\[parquet\]'"):
        labelled(root, root.parent / "labels.parquet")


def test_held_back_queries_are_labelled_too(root: Path):
    (root / "database").mkdir()
    for name in ("cats", "dogs", "Ka\u0308se.png", "12:30.png"):
        (root / name).rename(root / "database" / name)
    (root / "queries").mkdir()
    (root / "queries" / "4.png").touch()
    table = csv(root, "uri,label\ndatabase/cats/1.png,tabby\nqueries/4.png,persian\n")
    source = FolderSource(root, Choice(labels=str(table)))
    assert [item.label for item in source.queries()] == ["persian"]
    assert {item.label for item in source.items()} == {"tabby", None}


def test_lines_of_json_may_begin_with_a_mark_and_be_empty(root: Path):
    lines = ['\ufeff{"uri": "cats/1.png", "label": "käse"}', "", '{"uri": "cats/2.png", "label": 2}', ""]
    found = labelled(root, csv(root, "\n".join(lines), "labels.jsonl"))
    assert (found["cats/1.png"], found["cats/2.png"]) == (("käse", {}), (2, {}))


def test_rows_that_say_nothing_are_told(root: Path):
    table = csv(
        root, "uri,label,sha256,bytes\ncats/1.png,a,x,1\ncats/1.png,b,y,2\ngone\x1b.png,c,z,3\ncats/2.png,d,,\n"
    )
    with pytest.warns(CbirWarning) as told:
        found = labelled(root, table)
    assert found["cats/1.png"] == ("b", {})
    (warning,) = told
    assert str(warning.message).removeprefix(str(root.parent)) == (
        r"/labels.csv: 1 of its rows name no picture that is here, such as gone\x1b.png; 1 of its rows name a picture "
        "again; the last one counts; column(s) bytes, sha256 left out, as cbir has fields of these names"
    )


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("labels.csv", "", "labels.csv has no column 'uri'; its columns are none"),
        ("labels.csv", "name,class\n", "labels.csv has no column 'uri'; its columns are name, class"),
        ("labels.csv", "uri,label\ncats/1.png,a\ncats/2.png\n", "labels.csv, line 3: 1 values, but 2 columns"),
        ("labels.csv", 'uri,label\ncats/1.png,a\ncats/2.png,"b', "labels.csv, line 3: unexpected end of data"),
        ("labels.csv", "uri,label\n,a\n", "labels.csv, line 2: no uri"),
        ("labels.csv", "uri,label\nx/1.png,a\n", "names no picture that is here; it has 1 rows, such as x/1.png."),
        ("labels.jsonl", '{"uri": "cats/1.png"}\n[1]\n', "labels.jsonl, line 2: no JSON object"),
        ("labels.jsonl", '{"uri": "cats/1.png"\n', "labels.jsonl, line 1: no JSON: Expecting"),
        ("labels.jsonl", '{"uri": "cats/1.png", "label": 0.5}\n', "line 1: label must be a whole number or text"),
        ("labels.jsonl", '{"uri": "cats/1.png", "label": 1e99999}\n', "line 1: label must be a whole number"),
        ("labels.jsonl", '{"uri": "cats/1.png", "label": true}\n', "label must be a whole number or text, not True"),
        ("labels.jsonl", '{"uri": "cats/1.png", "x": NaN}\n', "line 1: no JSON: NaN is no number"),
        ("labels.jsonl", '{"label": 1}\n', "labels.jsonl, line 1: no uri"),
        ("labels.jsonl", "[" * 100_000, "labels.jsonl, line 1: no JSON"),
        ("labels.xlsx", "", "must be auto, folder, none, or a .csv, .jsonl or .parquet file"),
    ],
)  # fmt: skip
def test_a_table_that_is_damaged_is_refused_with_its_line(root: Path, name: str, text: str, told: str):
    with pytest.raises(SourceError) as error:
        labelled(root, csv(root, text, name))
    assert told in str(error.value)


def test_a_table_that_is_missing_or_no_text_is_refused(root: Path):
    with pytest.raises(SourceError, match=r"gone.csv cannot be read: No such file"):
        labelled(root, root.parent / "gone.csv")
    (root.parent / "labels.csv").write_bytes(b"uri,label\ncats/1.png,caf\xe9\n")
    with pytest.raises(SourceError, match=r"labels.csv is not UTF-8 text: .* at byte"):
        labelled(root, root.parent / "labels.csv")


@pytest.mark.parametrize("write", [str.encode, bytes], ids=["text", "bytes"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_in_a_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, write: Callable[[Any], bytes], data: st.DataObject
):
    root = tmp_path_factory.mktemp("root")
    (root / "1.png").touch()
    content = write(data.draw(st.text(st.characters(codec="utf-8")) if write is str.encode else st.binary()))
    head = data.draw(st.sampled_from([b"", b"uri,label,x\n1.png,", b'{"uri": "1.png", "label": ']))
    table = root / data.draw(st.sampled_from(["t.csv", "t.tsv", "t.jsonl", "t.parquet"]))
    table.write_bytes(head + content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CbirWarning)
        try:
            ((label, payload),) = labelled(root, table).values()
        except CbirError as error:
            str(error).encode()
            return
    assert label is None or isinstance(label, (int, str))
    json.dumps([label, payload], allow_nan=False, ensure_ascii=False).encode()
