import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.shards import open_shards
from cbir.collection.point import Hit
from cbir.ingest.sources.digits import digits as load_digits
from cbir.search.query import StoredPoint
from cbir.search.searcher import Searcher
from tests.conftest import picture


@pytest.fixture
def five(tmp_path: Path) -> Path:
    """A held-out five as a file of its own."""
    path = tmp_path / "five.png"
    load_digits().picture("digits:queries/4").save(path)
    return path


def test_paths_uris_and_images_find_the_same(digits: Path, five: Path):
    with cbir.open("digits") as searcher:
        by_path = searcher.search(five, 3)
        assert [hit.id for hit in by_path] == [hit.id for hit in searcher.search("digits:queries/4", 3)]
        assert by_path == searcher.search(Image.open(five), 3)
        assert len({hit.distance for hit in by_path}) == 3
        assert searcher.search_many([five, five], 3) == [by_path, by_path]


def test_a_stored_image_finds_itself(digits: Path):
    with cbir.open("digits") as searcher:
        hit = searcher.search("digits:database/17", 1)[0]
    assert (hit.uri, hit.payload["index"], hit.payload["source"]) == ("digits:database/17", 17, "digits")
    assert hit.distance == pytest.approx(0, abs=1e-4)


def test_labels_filter(digits: Path, five: Path):
    with cbir.open("digits") as searcher:
        assert {hit.label for hit in searcher.search(five, 300, labels=[3, 8])} == {3, 8}
        assert searcher.search(five, 20, labels=[77]) == []
        assert searcher.search(five, 20, labels=[]) == []


@pytest.mark.parametrize("options", [{}, {"rerank": True}, {"expand": 5, "exact": True}])
def test_a_stored_point_is_searched_for_by_its_vector_and_is_not_its_own_hit(digits: Path, options: dict[str, Any]):
    with cbir.open("digits") as searcher:
        uri = "digits:database/17"
        own, *others = searcher.search(uri, 6)
        vector = searcher.collection.vectors([own.id])[own.id]
        assert searcher.search(vector, 6) == [own, *others]
        assert searcher.search(StoredPoint(own.id), 5) == others
        mixed = searcher.search_many([vector, StoredPoint(own.id), uri], 5, **options)
        assert [own.id in {hit.id for hit in hits} for hits in mixed] == [True, False, True]
        assert [len(hits) for hits in mixed] == [5, 5, 5]
        assert mixed[0] == mixed[2] == searcher.search(uri, 5, **options)
        assert mixed[1] == searcher.search(StoredPoint(own.id), 5, **options)


def test_vectors_are_fetched_once_for_a_batch(digits: Path, monkeypatch: pytest.MonkeyPatch):
    with cbir.open("digits") as searcher:
        fetched = []
        vectors = searcher.collection.vectors
        monkeypatch.setattr(searcher.collection, "vectors", lambda ids: fetched.append(len(ids)) or vectors(ids))
        searcher.search_many([f"digits:queries/{n}" for n in range(20)], expand=3, rerank=True)
        neighbours, reranked = fetched
        assert 3 < neighbours <= 60
        assert 200 < reranked <= 1500


def test_threads_share_a_searcher_that_opens_once(digits: Path, monkeypatch: pytest.MonkeyPatch):
    opened = []
    open_collection = EmbeddedEngine.open
    monkeypatch.setattr(EmbeddedEngine, "open", lambda *args: opened.append(1) or open_collection(*args))
    queries = [f"digits:queries/{number}" for number in range(8)]
    with cbir.open("digits") as searcher:
        start = threading.Barrier(8)

        def search(query: str) -> list[list[str]]:
            start.wait()
            return [[hit.id for hit in searcher.search(query, 5, rerank=rerank)] for rerank in (False, True)]

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(search, queries))
        assert len(opened) == 1
        assert found == [[[h.id for h in searcher.search(q, 5, rerank=r)] for r in (False, True)] for q in queries]


@pytest.mark.parametrize("for_good", [True, False])
def test_closing_waits_for_the_searches_in_work(digits: Path, monkeypatch: pytest.MonkeyPatch, for_good: bool):
    entered, released = threading.Event(), threading.Event()
    with cbir.open("digits") as searcher, ThreadPoolExecutor(2) as pool:
        collection = searcher.collection
        search_batch = collection.search_batch

        def waiting(*args: Any, **options: Any) -> list[list[Hit]]:
            entered.set()
            released.wait(10)
            return search_batch(*args, **options)

        monkeypatch.setattr(collection, "search_batch", waiting)
        search = pool.submit(searcher.search, "digits:queries/1", 5)
        assert entered.wait(10)
        closing = pool.submit(searcher.close if for_good else searcher.release)
        with pytest.raises(TimeoutError):
            closing.result(timeout=0.2)
        released.set()
        assert len(search.result()) == 5
        closing.result(timeout=10)
        if for_good:
            with pytest.raises(cbir.CbirError, match=r"'digits' is closed; make another: cbir\.open\(\)"):
                searcher.search("digits:queries/1", 5)
        else:
            assert searcher.collection is not collection  # closed, and opened again


def test_threads_that_search_and_one_that_closes_leave_nothing_open(digits: Path):
    shard = next((digits / "collections" / "digits").glob("shard-*"))
    for _ in range(3):
        searcher = cbir.open("digits")
        started = threading.Barrier(9)

        def ask(number: int, searcher: Searcher = searcher, started: threading.Barrier = started) -> str:
            started.wait()
            for _ in range(1000):
                try:
                    searcher.search(f"digits:queries/{number}", 3)
                except cbir.CbirError as error:
                    return str(error)
            return "never closed"

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask, number) for number in range(8)]
            started.wait()
            searcher.search("digits:queries/1", 3)
            searcher.close()
            searcher.close()
            assert open_shards.users(shard) == 0
        assert {ended.result() for ended in asked} == {
            "this searcher of collection 'digits' is closed; make another: cbir.open()"
        }
        assert open_shards.users(shard) == 0


def test_threads_that_let_the_collection_go_find_the_same_as_one(digits: Path):
    shard = next((digits / "collections" / "digits").glob("shard-*"))
    with cbir.open("digits") as searcher, ThreadPoolExecutor(8) as pool:
        expected = searcher.search("digits:queries/1", 3)

        def ask(number: int) -> list[Hit]:
            hits = searcher.search("digits:queries/1", 3)
            if number % 4 == 0:
                searcher.release()
            return hits

        assert all(hits == expected for hits in pool.map(ask, range(64)))
    assert open_shards.users(shard) == 0


def test_who_only_encodes_does_not_wait_for_who_opens(digits: Path, monkeypatch: pytest.MonkeyPatch):
    opening, released = threading.Event(), threading.Event()
    open_collection = EmbeddedEngine.open

    def slowly(*args: Any) -> Any:
        opening.set()
        released.wait(30)
        return open_collection(*args)

    monkeypatch.setattr(EmbeddedEngine, "open", slowly)
    with cbir.open("digits") as searcher, ThreadPoolExecutor(1) as pool:
        try:
            search = pool.submit(searcher.search, "digits:queries/1", 3)
            assert opening.wait(30)
            assert not search.done()
            other = ThreadPoolExecutor(1).submit(searcher.embed, "digits:queries/2")
            assert other.result(timeout=30).shape == (128,)
            assert not search.done()
        finally:
            released.set()
        assert len(search.result()) == 3


def test_values_that_are_no_query_are_refused(digits: Path, five: Path):
    with cbir.open("digits") as searcher:
        for wrong, message in (
            (7, "not a int"),
            (np.zeros((28, 28)), r"128 numbers, not of shape \(28, 28\)"),
            (np.zeros(128, bool), "type bool"),
            (np.full(128, np.nan), "NaN"),
            (StoredPoint("00000000-0000-0000-0000-000000000000"), "holds no point '0000"),
            (StoredPoint("seven"), "seven"),
        ):
            with pytest.raises(cbir.CbirError, match=message):
                searcher.search(wrong)  # type: ignore[arg-type]
        for single in (str(five), StoredPoint("0")):
            with pytest.raises(cbir.CbirError, match="into a list"):
                searcher.search_many(single)  # type: ignore[arg-type]
        with pytest.raises(cbir.CbirError, match="invert is for pictures"):
            searcher.search(np.zeros(128), invert=True)
        with pytest.raises(TypeError, match="nothing"):
            searcher.search(five, nothing=1)  # type: ignore[call-arg]


def test_evaluating_and_ingesting_while_a_searcher_is_open(digits: Path, five: Path):
    with cbir.open("digits") as searcher:
        before = searcher.search(five, 3)
        assert cbir.evaluate("digits", queries=5, depths=np.array([10])).scores.queries == 5  # type: ignore[arg-type]
        assert cbir.ingest("digits").unchanged == 1500
        assert searcher.search(five, 3) == before


def test_a_query_on_another_background_is_warned_of_and_inverting_helps(digits: Path, five: Path):
    ImageOps.invert(Image.open(five)).resize((300, 300)).save(five)
    with cbir.open("digits") as searcher:
        with pytest.warns(cbir.QueryWarning, match=r"five\.png has a light background.*--invert"):
            searcher.search(five, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            searcher.search(five, 1, invert=True)
        seen = searcher.pixels(five, invert=True).astype(int)
        assert np.abs(seen - searcher.pixels("digits:queries/4")).mean() < 10


def test_a_plain_colour_is_warned_of(digits: Path):
    with cbir.open("digits") as searcher, pytest.warns(cbir.QueryWarning, match="one plain colour"):
        assert len(searcher.search(Image.new("RGB", (50, 20), "black"), 3)) == 3


def test_warnings_point_at_the_line_that_passed_the_query(digits: Path):
    plain = Image.new("RGB", (50, 20), "black")
    with cbir.open("digits") as searcher:
        for call in (
            lambda: searcher.search(plain),
            lambda: searcher.search_many([plain]),
            lambda: searcher.embed(plain),
            lambda: searcher.embed_many([plain]),
        ):
            with pytest.warns(cbir.QueryWarning) as warned:
                call()
            assert [(one.filename, one.lineno) for one in warned] == [(__file__, call.__code__.co_firstlineno)]


def test_pictures_of_many_backgrounds_warn_of_nothing(home: Path, tmp_path: Path, bundle: Path):
    """A query as far from the mean of dark pictures is warned of; among pictures of all kinds it is not."""
    query = tmp_path / "light.png"
    noise = np.random.default_rng(99).integers(0, 40, (30, 30), np.uint8)
    Image.fromarray(noise + np.uint8(215)).save(query)
    for name, light in (("dark", 0), ("many", 3)):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(8):
            noise = np.random.default_rng(number).integers(0, 40, (30, 30), np.uint8)
            Image.fromarray(noise + np.uint8(215 * (number < light))).save(folder / f"{number}.png")
        cbir.ingest(folder, model=bundle)
    with cbir.open("dark") as searcher, pytest.warns(cbir.QueryWarning, match="light background"):
        searcher.search(query)
    with cbir.open("many") as searcher:
        mean, _, _ = searcher.metadata.background or (0, 0, 0)
        assert 0.9 - mean > 0.5
        searcher.search(query)  # warnings are errors here


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(digits: Path, five: Path, k: int):
    with cbir.open("digits") as searcher, pytest.raises(cbir.CbirError, match="at least 1"):
        searcher.search(five, k)


def test_a_searcher_that_opens_its_collection_again_knows_where_a_folder_moved(home: Path, tmp_path: Path):
    folder, moved = tmp_path / "pictures", tmp_path / "disk" / "pictures"
    folder.mkdir()
    moved.parent.mkdir()
    picture().save(folder / "a.png")
    cbir.ingest(folder, encoder="pixels")
    with cbir.open() as searcher:
        searcher.search(folder / "a.png")
        searcher.release()
        folder.rename(moved)
        with pytest.warns(cbir.CbirWarning, match="has the same pictures and takes its place"):
            cbir.ingest(moved)
        hit = searcher.search(moved / "a.png")[0]
        assert searcher.open_stored(hit).info["path"] == str(moved / "a.png")


def test_a_hit_is_opened_at_a_place_that_is_there(home: Path, tmp_path: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name, seed in ("a.png", 1), ("b.png", 1), ("c.png", 2):
        picture(seed).save(pictures / name)
    cbir.ingest(pictures, encoder="pixels")
    with cbir.open("pictures") as searcher:
        hit = searcher.search(pictures / "a.png", 1)[0]
        Path(searcher.metadata.locate(hit.payload)).unlink()
        assert searcher.open_stored(hit).tobytes() == picture(1).tobytes()
        (pictures / str(hit.payload["copies"][0]["uri"])).unlink()
        with pytest.raises(cbir.CbirError, match="does not exist"):
            searcher.open_stored(hit)
