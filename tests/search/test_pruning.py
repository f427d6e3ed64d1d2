from pathlib import Path

import numpy as np
import pytest

import cbir
from cbir.model.codes import codes

STORED = 300


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CBIR_HOME with a few digits stored by the deep autoencoder."""
    place = tmp_path_factory.mktemp("coded") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(place))
        cbir.ingest("digits", encoder="deep-autoencoder:epochs=3,bits=64,short-bits=12", limit=STORED)
        assert cbir.ingest("digits", limit=STORED).unchanged == STORED
    return place


@pytest.mark.parametrize("radius", [0, 2, 4])
def test_pruned_hits_are_within_the_radius_and_ranked_by_the_long_code(
    coded: Path, monkeypatch: pytest.MonkeyPatch, radius: int
):
    monkeypatch.setenv("CBIR_HOME", str(coded))
    queries = [f"digits:queries/{number}" for number in range(5)]
    with cbir.open("digits") as searcher:
        own = codes(searcher.embed_many(queries), 12)
        everything = searcher.search_many(queries, STORED)
        for code, ranked, pruned in zip(own, everything, searcher.search_many(queries, 9, prune=radius), strict=True):
            near = [hit.distance for hit in ranked if (hit.payload["code"] ^ code).bit_count() <= radius]
            assert [hit.distance for hit in pruned] == near[:9]
            assert all((hit.payload["code"] ^ code).bit_count() <= radius for hit in pruned)
    if radius == 4:
        assert 0 < len(near) < STORED  # it does prune


def test_distance_is_the_root_of_differing_bits_and_a_stored_picture_finds_itself(
    coded: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CBIR_HOME", str(coded))
    with cbir.open("digits") as searcher:
        hits = searcher.search("digits:database/17", 50, prune=0)
        assert 17 in {hit.payload["index"] for hit in hits if hit.distance == 0}
        squares = np.square([hit.distance for hit in searcher.search("digits:queries/1", 50)])
        np.testing.assert_allclose(squares, squares.round(), atol=1e-4)
        label = hits[0].label
        assert label is not None
        assert {hit.label for hit in searcher.search("digits:database/17", 50, prune=3, labels=[label])} == {label}
        with pytest.raises(cbir.CbirError, match="within 0 to"):
            searcher.search("digits:database/17", prune=12)


def test_a_collection_without_short_codes_is_not_pruned(digits: Path):
    with cbir.open("digits") as searcher, pytest.raises(cbir.CbirError, match=r"no short codes.*deep-autoencoder"):
        searcher.search("digits:queries/1", prune=2)
