"""Whatever stands where metadata should be: they are valid, or it is an error that names them; and no other suffers."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cbir.collection.embedded.card import NAME, read_metadata
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionError
from cbir.collection.home import default_collection
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import Metadata
from cbir.collection.served.cards import _metadata
from tests.collection.sample import METADATA
from tests.collection.test_metadata import FORMAT_1, store, stored

CARD = {**METADATA.to_json(), "background": [0.5, 0.1, 3], "roots": {"s": "/s"}, "shard": "shard-1"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)
#: Some keys of a valid card, with anything in their places.
ALTERED = st.dictionaries(st.sampled_from(sorted(CARD)), JSON, min_size=1, max_size=3).map(lambda new: {**CARD, **new})

#: One key each, with what ended in a traceback once, or is as bad.
HOSTILE: list[dict[str, Any]] = [
    {"updated": 5},
    {"updated": None},
    {"ingested": ["x"]},
    {"sources": 5},
    {"sources": "digits"},
    {"sources": [{"a": 1}, 3]},
    {"sources": ["a\0b"]},
    {"roots": {"s": "/a\0b"}},
    {"roots": {"s": 7}},
    {"roots": []},
    {"background": {"a": 1}},
    {"background": [1, 2]},
    {"background": ["a", "b", 3]},
    {"background": [float("nan"), 0.1, 3]},
    {"background": [0.5, float("inf"), 3]},
    {"background": [10**400, 0.1, 3]},
    {"background": [0.5, 0.1, True]},
    {"input_shape": [28, 28]},
    {"input_shape": "281"},
    {"input_shape": [28, -1, "x"]},
    {"dimension": "4"},
    {"dimension": 0},
    {"dimension": 10**30},
    {"dimension": 4.0},
    {"smooth": True},
    {"smooth": -1},
    {"model": ".."},
    {"model": 5},
    {"fingerprint": None},
    {"format": True},
    {"format": None},
    {"format": 2.5},
    {"format": "3"},
]


@pytest.mark.parametrize("wrong", HOSTILE, ids=repr)
def test_a_value_that_was_never_written_is_refused(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match=next(iter(wrong)).rstrip("s")):
        Metadata.from_json({**CARD, **wrong})


@pytest.mark.parametrize("missing", sorted({*FORMAT_1} - {"background", "smooth"}))
def test_a_value_that_is_missing_is_named(missing: str):
    with pytest.raises(ValueError, match=f"^it has no {missing}$"):
        Metadata.from_json({name: value for name, value in FORMAT_1.items() if name != missing})


@given(anything=JSON | ALTERED)
@example(anything=None)
@example(anything=[])
@example(anything="x")
def test_any_json_is_metadata_or_an_error_that_names_them(anything: object):
    for read in (lambda: Metadata.from_json(anything), lambda: _metadata("c", anything)):
        try:
            metadata = read()
        except (ValueError, CollectionError):
            continue
        # What is accepted can be used, and written again.
        assert isinstance(anything, dict)
        assert all(isinstance(metadata.place(source), str) for source in metadata.sources)
        assert max((metadata.ingested, metadata.updated), ("", ""))
        assert Metadata.from_json(json.loads(json.dumps(metadata.to_json()))).to_json().keys() >= CARD.keys() - {
            "shard"
        }


@given(content=st.binary(max_size=40) | (JSON | ALTERED).map(lambda value: json.dumps(value).encode()))
@example(content=b"")
@example(content=b"[" * 100_000)
@example(content=b'{"a":' * 100_000)
@example(content=b'{"format": ' + b"9" * 10_000 + b"}")
@example(content=json.dumps({**CARD, "shard": "../../elsewhere"}).encode())
@example(content=json.dumps({**CARD, "shard": ""}).encode())
@example(content=json.dumps({**CARD, "shard": "/"}).encode())
def test_any_file_is_a_card_or_an_error_that_names_it(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    folder = tmp_path_factory.getbasetemp() / "any-file" / "c"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(content)
    try:
        _, shard = read_metadata(folder)
    except CollectionError as error:
        message = str(error)
        assert str(folder / NAME) in message or "collection 'c' was written by a newer cbir" in message
    else:
        assert (folder / shard).resolve().parent == folder.resolve()


def test_a_card_that_is_too_large_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cbir.core.stored.MOST_BYTES", 1000)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / NAME).write_text(json.dumps({**CARD, "extra": "x" * 1000}))
    with pytest.raises(CollectionError, match=r"collection\.json is damaged \(it is larger than 0 MB\)"):
        read_metadata(tmp_path / "c")


@pytest.mark.parametrize("wrong", [{"updated": 5}, {"sources": 5}, {"dimension": 5.5}, {"background": {}}], ids=repr)
def test_a_damaged_collection_spoils_only_itself(engine: Engine, points: Collection, wrong: dict[str, Any]):
    points.close()
    engine.create("whole", METADATA).close()
    store(engine, "points", {**stored(engine, "points"), **wrong})
    assert engine.names() == ["points", "whole"]
    assert default_collection(engine) == "whole"
    with closing(engine.open("whole")) as whole:
        assert whole.count() == 0
    for use in (engine.metadata, engine.open):
        with pytest.raises(CollectionError, match=rf"points.* damaged \(.*{next(iter(wrong)).rstrip('s')}"):
            use("points")
    if isinstance(engine, EmbeddedEngine):
        engine.delete("points")
        assert engine.names() == ["whole"]


def test_a_damaged_collection_alone_is_not_said_to_be_none(engine: Engine, points: Collection):
    points.close()
    store(engine, "points", {**stored(engine, "points"), "updated": 5})
    with pytest.raises(CollectionError, match=r"points.* is damaged \(updated is a number instead of a text\)"):
        default_collection(engine)
