"""Searches with conditions, a limit of distance, another order, and without the query itself."""

import io
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.collection.filter import Among, FilterError
from cbir.collection.filter_text import parse_where
from cbir.model.errors import ImageError
from cbir.search.itself import Mark
from cbir.search.options import SearchOptions
from cbir.search.piped import Piped, read_piped
from cbir.search.places import located_places
from cbir.search.query import Combination, StoredPoint
from cbir.search.searcher import Searcher
from cbir.search.terms import parse, spell, title
from tests.collection.sample import METADATA


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures in two folders, smaller from one to the next."""
    root = tmp_path_factory.mktemp("narrowed") / "photos"
    draw = np.random.default_rng(0)
    for album in ("summer", "winter"):
        (root / album).mkdir(parents=True)
        for number in range(6):
            tiles = draw.integers(0, 255, (6, 6, 3), dtype=np.uint8)
            side = 100 - 5 * number
            Image.fromarray(tiles).resize((side, side)).save(root / album / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def searcher(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(tmp_path_factory.mktemp("home")))
        cbir.ingest(photos, encoder="color-histogram")
        with cbir.open("photos") as opened:
            yield opened


def uris(searcher: Searcher, query: object, **options: object) -> list[str]:
    return [hit.uri for hit in searcher.search(query, **options)]  # type: ignore[arg-type]


def test_conditions_as_text_limit_the_hits(searcher: Searcher, photos: Path):
    query = photos / "summer" / "3.png"
    assert set(uris(searcher, query, where="uri=winter/**")) == {f"winter/{n}.png" for n in range(6)}
    assert set(uris(searcher, query, where=["uri=winter/**", "uri!=*/[0-3].png"])) == {"winter/4.png", "winter/5.png"}
    assert uris(searcher, query, where=["label=winter"]) == uris(searcher, query, where=Among("label", ("winter",)))
    assert uris(searcher, query, where="label=winter", labels=None) == uris(searcher, query, labels=["winter"])
    with pytest.raises(FilterError, match="did you mean 'uri'"):
        searcher.search(query, where="urii=winter/**")
    with pytest.raises(cbir.CbirError, match="both filter by 'label'"):
        searcher.search(query, where="label=winter", labels=["summer"])


def test_the_distance_is_limited(searcher: Searcher, photos: Path):
    query = photos / "summer" / "3.png"
    hits = searcher.search(query, 12)
    assert searcher.search(query, 12, max_distance=hits[4].distance) == hits[:5]
    assert searcher.search(query, 12, max_distance=0) == hits[:1]
    assert searcher.search(query, 12, max_distance=9, rerank=True) == searcher.search(query, 12, rerank=True)
    for wrong in (-1, float("nan"), float("inf"), "3"):
        with pytest.raises(cbir.CbirError, match="max-distance must be"):
            searcher.search(query, max_distance=wrong)  # type: ignore[arg-type]


def test_the_query_itself_is_left_out_by_content_and_by_place(searcher: Searcher, photos: Path, tmp_path: Path):
    query = photos / "summer" / "3.png"
    itself, *others = searcher.search(query, 12)
    assert itself.uri == "summer/3.png"
    assert searcher.search(query, 5, not_itself=True) == others[:5]
    elsewhere = tmp_path / "other name.png"
    shutil.copy(query, elsewhere)
    assert searcher.search(elsewhere, 5, not_itself=True) == others[:5]
    link = tmp_path / "link.png"
    link.symlink_to(query)
    assert searcher.search(link, 5, not_itself=True) == others[:5]
    assert searcher.search(Piped("-", query.read_bytes()), 5, not_itself=True) == others[:5]
    # Of a sum, all that it is made of.
    total = Combination([(1, query), (1, StoredPoint(others[0].id))])
    assert len(searcher.search(query, 12, not_itself=True, rerank=True, expand=2)) == 11
    found = {hit.id for hit in searcher.search(total, 12, not_itself=True)}
    assert found == {hit.id for hit in others[1:]}
    # In a batch, each query's own.
    for each, hits in zip(
        [query, photos / "winter" / "1.png"],
        searcher.search_many([query, photos / "winter" / "1.png"], 12, not_itself=True),
        strict=True,
    ):
        assert len(hits) == 11
        assert str(each.relative_to(photos)) not in {hit.uri for hit in hits}
    # What was stored of a file that has another content since then is its own place, too.
    mark = Mark(frozenset(), frozenset([os.path.realpath(query)]))
    assert mark.is_on(itself.payload, searcher.metadata)
    copied = {**others[0].payload, "copies": [{"source": "photos", "uri": "summer/3.png"}]}
    assert mark.is_on(copied, searcher.metadata)
    assert not mark.is_on(others[0].payload, searcher.metadata)
    assert uris(searcher, np.zeros(256, np.float32), not_itself=True) == uris(searcher, np.zeros(256, np.float32))


def test_hits_are_sorted_by_a_field(searcher: Searcher, photos: Path):
    query = photos / "summer" / "3.png"
    hits = searcher.search(query, 5)
    by_uri = sorted(hits, key=lambda hit: hit.uri)
    assert searcher.search(query, 5, sort="uri") == by_uri
    assert searcher.search(query, 5, sort="uri:asc") == by_uri
    assert searcher.search(query, 5, sort="uri:desc") == by_uri[::-1]
    assert searcher.search(query, 5, sort="distance:desc") == hits[::-1]
    assert searcher.search(query, 5, sort="camera") == hits  # which none of them has
    by_size = [hit.payload["bytes"] for hit in searcher.search(query, 12, sort="bytes")]
    assert by_size == sorted(by_size)
    for wrong, message in (
        ("bites", "did you mean 'bytes'"),
        ("uri:up", "a field and perhaps :asc or :desc"),
        ("gps", "no order"),
    ):
        with pytest.raises(FilterError, match=message):
            searcher.search(query, sort=wrong)


def test_numbers_come_before_texts_times_by_when_they_are_and_what_lacks_the_field_last():
    from cbir.collection.point import Hit
    from cbir.search.order import in_order

    values = [None, "b", 3, 2.5, ["z", "a"], "2024-06-01T12:00:00Z", "2024-06-01T13:00:00+02:00", {}]
    hits = [Hit(str(n), n, None, "", {} if value is None else {"x": value}) for n, value in enumerate(values)]
    assert [hit.payload.get("x") for hit in in_order(hits, "x")] == [
        *(2.5, 3, "2024-06-01T13:00:00+02:00", "2024-06-01T12:00:00Z", ["z", "a"], "b", None, {})
    ]


def test_a_picture_comes_through_a_pipe(
    searcher: Searcher, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    content = (photos / "summer" / "3.png").read_bytes()
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writer.start()
    (query,) = parse([str(pipe)])
    writer.join()
    assert uris(searcher, query, k=1) == ["summer/3.png"]
    assert title(query) == str(pipe)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (combined,) = parse(["-", "-", str(photos / "winter" / "1.png")])
    assert isinstance(combined, Combination)
    assert [(weight, type(term)) for weight, term in combined.terms] == [(1, Piped), (-1, str)]
    assert spell(combined) == ["-", "-", str(photos / "winter" / "1.png")]
    with pytest.raises(ImageError, match="standard input is empty"):
        parse(["-"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"no picture")))
    with pytest.raises(ImageError, match="standard input is not a picture"):
        parse(["-"])
    with pytest.raises(ImageError, match="/dev/zero is not a picture"):
        parse(["/dev/zero"])
    with pytest.raises(ImageError, match="/dev/null is empty"):
        parse(["/dev/null"])
    with pytest.raises(ImageError, match="cannot be read"):
        read_piped(str(tmp_path / "none"))


def test_a_pipe_without_end_is_left(monkeypatch: pytest.MonkeyPatch, photos: Path):
    monkeypatch.setattr("cbir.model.picture.MAX_BYTES", 100_000)
    endless = (photos / "summer" / "3.png").read_bytes() + bytes(200_000)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(endless)))
    with pytest.raises(ImageError, match="standard input has more than"):
        read_piped("-")


def test_options_are_checked_before_anything_is_opened():
    with pytest.raises(FilterError, match="must be a list"):
        SearchOptions(where={"label": 7})  # type: ignore[dict-item]
    with pytest.raises(FilterError, match="where is a filter"):
        SearchOptions(where=7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("where", "first"),
    [
        (None, "a/1.png"),
        ("folder=b", "b/2.png"),
        ("folder=b/**", "b/2.png"),
        ("folder!=a", "b/2.png"),
        ("name=3.png,4.png", "b/c/3.png"),
        (["width>1", "uri=b/c/*"], "b/c/3.png"),
        (["width>1", "label=x"], "a/1.png"),
        ("source=other", "a/1.png"),
    ],
)
def test_of_copies_the_place_that_was_asked_for_comes_first(where: list[str] | str | None, first: str):
    copies = [{"source": "s", "uri": "b/2.png"}, "odd", {"source": "s", "uri": "b/c/3.png"}]
    payload = {"source": "s", "uri": "a/1.png", "folder": "a", "name": "1.png", "copies": copies}
    asked = parse_where([where] if isinstance(where, str) else where or [])
    places = located_places(payload, METADATA, asked)
    assert places[0] == first
    assert sorted(places) == ["a/1.png", "b/2.png", "b/c/3.png"]
