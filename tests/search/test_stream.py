"""A batch of queries is answered as it comes."""

import json
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import cbir
from cbir.ingest.sources.digits import digits as load_digits
from cbir.model import decoder
from cbir.model.errors import ImageError
from cbir.model.preprocessing import Preprocessing
from cbir.search.options import SearchOptions
from cbir.search.piped import Piped
from cbir.search.stream import stream
from tests.commands import run


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    """A folder of ten digits, one of them in a folder below, and a file that is no picture."""
    folder = tmp_path / "queries"
    (folder / "z").mkdir(parents=True)
    for number in range(10):
        place = folder / "z" if number == 9 else folder
        load_digits().picture(f"digits:queries/{number}").save(place / f"{number}.png")
    (folder / "5a.png").write_bytes(b"no picture")
    return folder


def test_what_is_found_first_is_there_before_the_rest_is_read(digits: Path):
    read: list[int] = []

    def query(number: int) -> str:
        read.append(number)
        if number == 1:
            raise ImageError("no picture")
        return f"digits:queries/{number}"

    with cbir.open("digits") as searcher:
        named = ((str(number), partial(query, number)) for number in range(100))
        seen = []
        for answered in stream(searcher, named, SearchOptions(k=3)):
            seen.append(len(answered.queries) + len(answered.unreadable))
            assert sum(seen) == len(read)
            for asked, hits in zip(answered.queries, answered.hits, strict=True):
                assert hits == searcher.search(asked, 3)
            assert [name for name, _ in answered.unreadable] == (["1"] if len(seen) == 1 else [])
    assert seen == [4, 8, 16, 32, 40]
    assert read == list(range(100))


def test_pictures_of_a_block_are_decoded_in_threads(digits: Path, queries: Path, monkeypatch: pytest.MonkeyPatch):
    """Two at a time here, in their order; the first that cannot be read is the one that is told."""
    monkeypatch.setattr("cbir.core.workers.usable_cores", lambda: 2)
    both = threading.Barrier(2, timeout=20)
    with cbir.open("digits") as searcher:
        decode = searcher.open_picture

        def together(name: str, **given: object) -> object:
            both.wait()
            return decode(name, **given)

        names = [str(queries / f"{number}.png") for number in range(8)]
        one_by_one = [searcher.search(name, 2) for name in names]
        searcher.open_picture = together
        assert searcher.search_many(names, 2) == one_by_one
        searcher.open_picture = decode
        with pytest.raises(ImageError, match=r"5a\.png"):
            searcher.search_many([names[0], str(queries / "5a.png"), names[1], str(queries / "none.png")], 2)


def test_large_pictures_are_decoded_and_made_smaller_one_at_a_time(
    digits: Path, queries: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cbir.core.workers.usable_cores", lambda: 8)
    monkeypatch.setattr("cbir.model.decoder._MUCH_MEMORY", 0)
    load, make, held, most = decoder._load, Preprocessing.pixels, list[int](), list[int]()

    def loaded(*given: Any) -> None:
        load(*given)
        held.append(1)
        most.append(len(held))
        time.sleep(0.02)

    def made(*given: Any) -> Any:
        pixels = make(*given)
        held.pop()
        return pixels

    monkeypatch.setattr(decoder, "_load", loaded)
    monkeypatch.setattr(Preprocessing, "pixels", made)
    with cbir.open("digits") as searcher:
        searcher.search_many(sorted(map(str, queries.glob("*.png")))[:6])
    assert most == [1] * 6


def test_large_files_are_not_held_together(digits: Path, queries: Path, monkeypatch: pytest.MonkeyPatch):
    content = (queries / "0.png").read_bytes()
    monkeypatch.setattr("cbir.search.stream._MOST_BYTES", 2 * len(content))
    with cbir.open("digits") as searcher:
        named = [(str(number), partial(Piped, str(number), content)) for number in range(5)]
        blocks = [answered.queries for answered in stream(searcher, named, SearchOptions(k=1))]
    assert [[query.name for query in block] for block in blocks] == [["0", "1"], ["2", "3"], ["4"]]


def test_a_folder_of_queries_is_a_document_a_line(digits: Path, queries: Path):
    done = run("search", "--batch", queries, "-k", "2", "--json", code=1)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = {Path(line["image"]).name: line for line in lines}
    assert len(lines) == len(found) == 11
    assert {line["collection"] for line in lines} == {"digits"}
    assert "is not a picture" in found.pop("5a.png")["error"]
    assert "skipped: " in done.stderr
    with cbir.open("digits") as searcher:
        for name, line in found.items():
            path = queries / name if name != "9.png" else queries / "z" / name
            assert [hit["id"] for hit in line["hits"]] == [hit.id for hit in searcher.search(path, 2)]


def test_only_paths_of_a_batch(digits: Path):
    done = run("search", "--batch", "digits", "-k", "1", "--label", "7", "--paths")
    assert len(done.stdout.splitlines()) > 64
    assert all(line.startswith("digits:database/") for line in done.stdout.splitlines())


def test_a_batch_takes_the_place_of_queries(digits: Path):
    assert "--batch" in run("search", "x.png", "--batch", "digits", code=2).stderr
    assert "--batch" in run("search", "--batch", "digits", "--save", "x.png", code=1).stderr
