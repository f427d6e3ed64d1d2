import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.errors import CollectionError
from cbir.collection.metadata import Metadata
from cbir.collection.point import Page
from cbir.collection.transfer import transfer
from cbir.core.workers import batched
from cbir.ingest import smooth as module
from cbir.ingest.described import id_of
from cbir.ingest.encode import Encoded
from cbir.ingest.read import Batch, Fresh
from cbir.ingest.smooth import smooth
from cbir.ingest.sources.source import Item
from tests.collection.sample import METADATA
from tests.conftest import picture


class Stored:
    """What smoothing sees of a collection."""

    metadata = replace(METADATA, dimension=4)

    def __init__(self, names: Sequence[str] = (), vectors: np.ndarray | None = None, page: int = 4) -> None:
        self.stored = {id_of(item(name), None): vectors[row] for row, name in enumerate(names) if vectors is not None}
        self.page = page

    def scroll(self, *, fields: tuple[str, ...]) -> Iterator[Page]:
        assert fields == ()
        for some in batched(self.stored, self.page):
            yield Page(list(some), np.stack([self.stored[one] for one in some]), [{}] * len(some))

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        return {one: self.stored[one] for one in ids if one in self.stored}


def item(name: object) -> Item:
    return Item(str(name), None, "source", picture)


def batches(features: np.ndarray, size: int = 7) -> Iterable[Encoded]:
    for start in range(0, len(features), size):
        part = features[start : start + size]
        yield encoded(part, [Fresh(item(start + row), None, {}) for row in range(len(part))])


def encoded(features: np.ndarray, fresh: list[Fresh], described: Sequence[Item] = ()) -> Encoded:
    batch = Batch(fresh, np.empty((0, 1, 1, 1), np.uint8), {}, [], list(described), [])
    return Encoded(batch, features, np.zeros(len(fresh), np.float32))


def smoothed(features: np.ndarray, nearest: int, stored: Stored | None = None) -> np.ndarray:
    return np.concatenate([batch.features for batch in smooth(batches(features), stored or Stored(), nearest)])  # type: ignore[arg-type]


def averaged(features: np.ndarray, among: np.ndarray, nearest: int) -> list[np.ndarray]:
    """The same in plain words."""
    result = []
    for feature in features:
        order = np.argsort(np.linalg.norm(among - feature, axis=1))[: nearest + 1]
        result.append(np.average(among[order], axis=0, weights=[nearest + 1 - rank for rank in range(len(order))]))
    return result


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30), nearest=st.integers(1, 40), known=st.integers(0, 9))
def test_each_is_averaged_with_its_nearest_among_new_and_stored(seed: int, n: int, nearest: int, known: int):
    everything = np.random.default_rng(seed).normal(size=(n + known, 4)).astype(np.float32)
    stored = Stored([f"stored {row}" for row in range(known)], everything[n:])
    expected = averaged(everything[:n], everything, nearest)
    np.testing.assert_allclose(smoothed(everything[:n], nearest, stored), expected, atol=1e-5)


def test_what_is_replaced_is_no_neighbour():
    features = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    outdated = Stored(["0", "1"], features[:2] + np.float32(0.01))
    assert np.array_equal(smoothed(features, 3, outdated), smoothed(features, 3))


def test_what_needs_no_encoding_passes_through():
    features = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    updated = encoded(features[:0], [], [item("described")] * 8)
    passed = list(smooth([updated, *batches(features), updated], Stored(), 2))  # type: ignore[arg-type]
    assert [len(batch) for batch in passed] == [8, 3, 8]
    assert list(smooth([updated], Stored(), 2)) == [updated]  # type: ignore[arg-type]


def test_a_large_source_goes_block_by_block(monkeypatch: pytest.MonkeyPatch):
    features = np.random.default_rng(0).normal(size=(21, 4)).astype(np.float32)
    monkeypatch.setattr(module, "BLOCK", 10)
    first, rest = features[:14], features[14:]
    np.testing.assert_allclose(smoothed(features, 2), [*averaged(first, first, 2), *averaged(rest, rest, 2)], atol=1e-5)


def test_blocks_are_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch):
    features = np.random.default_rng(0).normal(size=(21, 4)).astype(np.float32)
    monkeypatch.setattr(module, "BLOCK_BYTES", 10 * 16)
    first, rest = features[:14], features[14:]
    np.testing.assert_allclose(smoothed(features, 2), [*averaged(first, first, 2), *averaged(rest, rest, 2)], atol=1e-5)


def test_stored_features_are_gone_through_once_a_block_and_never_held(monkeypatch: pytest.MonkeyPatch):
    """30,000 of 2,000 values are 240 MB; what is held is a page, and the neighbours of a batch."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(14, 2000)).astype(np.float32)

    class Large(Stored):
        passes = 0

        def scroll(self, *, fields: tuple[str, ...]) -> Iterator[Page]:
            self.passes += 1
            for number in range(30):
                names = [id_of(item(f"stored {number} {row}"), None) for row in range(1000)]
                yield Page(names, np.full((1000, 2000), number + 100, np.float32), [{}] * 1000)

        def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
            return dict.fromkeys(ids, np.full(2000, 100, np.float32))

    stored = Large()
    tracemalloc.start()
    try:
        found = smoothed(features, 2, stored)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(found, averaged(features, features, 2), atol=1e-5)
    assert stored.passes == 1
    assert peak < 60e6


def vectors(name: str) -> dict[str, np.ndarray]:
    with cbir.open(name) as searcher:
        return {p["uri"]: v for page in searcher.collection.scroll() for p, v in zip(page.payloads, page.vectors)}  # noqa: B905


def test_the_collection_keeps_to_it(home: Path, pictures: Path):
    cbir.ingest(pictures, collection="plain", encoder="pixels")
    cbir.ingest(pictures, encoder="pixels", smooth=2)
    plain, before = vectors("plain"), vectors("pictures")
    everything = np.stack(list(plain.values()))
    np.testing.assert_allclose(list(before.values()), averaged(everything, everything, 2), atol=1e-5)

    picture(99).save(pictures / "b" / "new.png")
    assert cbir.ingest(pictures).ingested == 1
    cbir.ingest(pictures, collection="plain")
    after, new = vectors("pictures"), "b/new.png"
    encoded = vectors("plain")[new]
    among = np.stack([encoded, *before.values()])
    np.testing.assert_allclose(after.pop(new), averaged(encoded[None], among, 2)[0], atol=1e-5)
    assert all(np.array_equal(after[uri], before[uri]) for uri in before)


def test_another_number_is_refused_naming_both(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels", smooth=2)
    for other in (0, 5):
        with pytest.raises(cbir.CbirError, match=rf"--smooth 2, not {other};.*--collection.*--retrain"):
            cbir.ingest(pictures, smooth=other)
    assert cbir.ingest(pictures, smooth=2).unchanged == 6
    with pytest.raises(cbir.CbirError, match="at least 0"):
        cbir.ingest(pictures, smooth=-1)


def test_a_stored_image_that_is_a_query_is_not_averaged(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels", smooth=2)
    with pytest.warns(cbir.CbirWarning, match="averages with neighbours, the queries among them"):
        distorted = cbir.evaluate_distorted("pictures", ["noise=0.1"]).lines[0]
    with pytest.warns(cbir.CbirWarning, match="scores are too high"):
        evaluation = cbir.evaluate("pictures", depths=[5])
    assert evaluation.scores.map == distorted.undistorted.map


def test_built_anew_it_stays_smoothed_until_told_otherwise(home: Path, pictures: Path):
    remembered = []
    cbir.ingest(pictures, encoder="pixels", smooth=2)
    for smooth_ in (None, 3, 0, None):
        cbir.ingest(pictures, retrain=True, smooth=smooth_)
        remembered.append(EmbeddedEngine(home / "collections").metadata("pictures").smooth)
    assert remembered == [2, 3, 0, 0]


@pytest.mark.parametrize("stored", [0, 2])
def test_an_interrupted_one_goes_on(home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, stored: int):
    for seed in range(600):
        picture(100 + seed).save(pictures / "b" / f"more {seed}.png")
    real, calls = EmbeddedCollection.upsert, []

    def upsert(*arguments: object) -> None:
        if len(calls) == stored:
            raise KeyboardInterrupt
        calls.append(real(*arguments))  # type: ignore[arg-type, func-returns-value]

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedCollection, "upsert", upsert)
        with pytest.raises(KeyboardInterrupt):
            cbir.ingest(pictures, encoder="pixels", smooth=4)
    report = cbir.ingest(pictures, encoder="pixels", smooth=4)
    assert (report.points, report.unchanged) == (606, 256 * stored)
    with closing(EmbeddedEngine(home / "collections").open("pictures")) as collection:
        assert collection.metadata.smooth == 4
        assert collection.metadata.background is not None
        assert collection.metadata.background[2] == 606


def test_metadata_from_before_smoothing_are_read():
    stored = METADATA.to_json()
    del stored["smooth"]
    assert Metadata.from_json(stored) == METADATA
    assert Metadata.from_json({**stored, "smooth": 7}).smooth == 7
    with pytest.raises(ValueError, match="smooth is a text"):
        Metadata.from_json({**stored, "smooth": "many"})


def test_points_are_not_copied_among_others_smoothed_otherwise(tmp_path: Path):
    here, there = EmbeddedEngine(tmp_path / "here"), EmbeddedEngine(tmp_path / "there")
    here.create("c", METADATA).close()
    there.create("c", replace(METADATA, smooth=5)).close()
    with pytest.raises(CollectionError, match="--smooth 5, not 0"):
        transfer(here, there, "c")
    there.delete("c")
    transfer(here, there, "c")
