"""Transfers between engines: complete, resumable, verified."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbir.collection import transfer as transfer_module
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionError
from cbir.collection.point import Payload, point_id
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.points import ServedCollection
from cbir.collection.transfer import transfer
from tests.collection.sample import IN_MEMORY, METADATA, fill, ids
from tests.qdrant import MemoryServer

POINTS = 2_500


@pytest.fixture
def here(tmp_path: Path) -> EmbeddedEngine:
    engine = EmbeddedEngine(tmp_path / "here", timeout=0)
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.random.default_rng(0).random((POINTS, 4), np.float32), [7] * POINTS)
    return engine


@pytest.fixture(params=["served", IN_MEMORY])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> ServedEngine:
    if request.param == "served":
        engine: ServedEngine = request.getfixturevalue("served")
        return engine
    return ServedEngine(MemoryServer(), tmp_path / "locks")


def test_a_transfer_there_and_back(here: EmbeddedEngine, there: ServedEngine, tmp_path: Path):
    reported: list[tuple[Any, ...]] = []
    done = transfer(here, there, "c", lambda *steps: reported.append(steps))
    assert (done.points, done.copied, done.unchanged, done.more) == (POINTS, POINTS, 0, 0)
    assert done.compared == 100
    assert reported[-1] == ("copy", POINTS, POINTS)
    assert there.metadata("c") == METADATA

    back = EmbeddedEngine(tmp_path / "back", timeout=0)
    transfer(there, back, "c")
    with closing(here.open("c")) as first, closing(back.open("c")) as last:
        for a, b in zip(first.scroll(), last.scroll(), strict=True):
            assert (a.ids, a.payloads) == (b.ids, b.payloads)
            np.testing.assert_array_equal(a.vectors, b.vectors)


def test_as_many_vectors_are_compared_however_many_pages_there_are(
    here: EmbeddedEngine, there: ServedEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfer_module, "_PAGE", 10)
    asked: list[list[str]] = []
    read = ServedCollection.vectors

    def noted(self: ServedCollection, ids: Sequence[str]) -> dict[str, np.ndarray]:
        asked.append(list(ids))
        return read(self, ids)

    monkeypatch.setattr(ServedCollection, "vectors", noted)
    assert transfer(here, there, "c").compared == 100
    (sample,) = asked
    assert len(set(sample)) == 100
    with closing(here.open("c")) as collection:
        places = {one: place for place, one in enumerate(one for page in collection.scroll() for one in page.ids)}
    quarters = np.bincount([4 * places[one] // POINTS for one in sample], minlength=4)
    assert quarters.min() >= 10  # from all over


def test_a_stopped_transfer_continues(here: EmbeddedEngine, there: ServedEngine, monkeypatch: pytest.MonkeyPatch):
    stored = ServedCollection.upsert
    calls: list[int] = []

    def stopped(
        self: ServedCollection, points: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]
    ) -> None:
        calls.append(len(points))
        if len(calls) == 2:
            raise KeyboardInterrupt
        stored(self, points, vectors, payloads)

    with monkeypatch.context() as patch:
        patch.setattr(ServedCollection, "upsert", stopped)
        with pytest.raises(KeyboardInterrupt):
            transfer(here, there, "c")
    assert there.metadata("c").sources == here.metadata("c").sources
    done = transfer(here, there, "c")
    assert (done.copied, done.unchanged) == (POINTS - calls[0], calls[0])
    assert transfer(here, there, "c").copied == 0


def test_points_that_do_not_arrive_are_missed_and_copied_by_the_next(
    here: EmbeddedEngine, there: ServedEngine, monkeypatch: pytest.MonkeyPatch
):
    stored = ServedCollection.upsert

    def lossy(self: ServedCollection, points: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        stored(self, points[:-1], vectors[:-1], payloads[:-1])

    with monkeypatch.context() as patch:
        patch.setattr(ServedCollection, "upsert", lossy)
        with pytest.raises(CollectionError, match=r"3 points of 'c' did not arrive in .* run the same command again"):
            transfer(here, there, "c")
    assert transfer(here, there, "c").copied == 3


def test_a_point_that_does_not_arrive_is_missed_also_where_there_are_others(
    here: EmbeddedEngine, there: ServedEngine, monkeypatch: pytest.MonkeyPatch
):
    few = ids(8)
    for engine, points in ((here, few[:1]), (there, few[1:])):
        with closing(engine.create("d", METADATA)) as collection:
            collection.upsert(points, np.ones((len(points), 4), np.float32), [{"uri": i} for i in points])
    monkeypatch.setattr(ServedCollection, "upsert", lambda *_: None)
    with pytest.raises(CollectionError, match=r"^1 point of 'd' did not arrive in "):
        transfer(here, there, "d")


def test_how_light_backgrounds_are_is_what_the_target_knows_or_else_the_source(
    here: EmbeddedEngine, there: ServedEngine
):
    known, other = (0.25, 0.5, POINTS), (0.75, 0.125, 9)
    with closing(here.open("c")) as collection:
        collection.remember(replace(METADATA, background=known, updated="2026-02-01"))
    transfer(here, there, "c")
    assert there.metadata("c").background == known
    with closing(there.open("c")) as collection:
        collection.remember(replace(METADATA, background=other, updated="2026-03-01"))
    transfer(here, there, "c")
    assert there.metadata("c").background == other
    assert there.metadata("c").updated == "2026-03-01"


def test_points_that_only_the_target_has_stay_and_are_counted(here: EmbeddedEngine, there: ServedEngine):
    with closing(there.create("c", replace(METADATA, sources=("t",)))) as collection:
        collection.upsert([ids(POINTS + 1)[-1]], np.ones((1, 4), np.float32), [{"uri": "other"}])
    assert transfer(here, there, "c").more == 1
    assert there.metadata("c").sources == ("t", "s")


def test_roots_and_keys_of_newer_versions_are_copied(here: EmbeddedEngine, there: ServedEngine):
    there.create("c", replace(METADATA, roots={"photos": "/old", "other": "/other"}, extra={"y": 2})).close()
    with closing(here.open("c")) as collection:
        collection.remember(replace(METADATA, roots={"photos": "/new"}, extra={"x": 1}))
    transfer(here, there, "c")
    assert there.metadata("c").roots == {"photos": "/new", "other": "/other"}
    assert there.metadata("c").extra == {"x": 1, "y": 2}


def photos(engine: EmbeddedEngine | ServedEngine, name: str, root: str, hashes: Sequence[str]) -> None:
    """Make a collection of a folder `photos` with pictures of these contents."""
    points = [point_id("photos", f"{number}.png") for number in range(len(hashes))]
    payloads = [{"source": "photos", "uri": f"{n}.png", "sha256": value} for n, value in enumerate(hashes)]
    roots = {"albums": "/albums", "photos": root}
    with closing(engine.create(name, replace(METADATA, sources=("photos",), roots=roots))) as collection:
        collection.upsert(points, np.eye(len(hashes), 4, dtype=np.float32), payloads)


def test_another_folder_of_the_same_name_is_refused_and_nothing_is_replaced(here: EmbeddedEngine, there: ServedEngine):
    photos(here, "p", "/home/b/photos", ["4", "5", "6"])
    photos(there, "p", "/home/a/photos", ["1", "2", "3"])
    with pytest.raises(CollectionError, match=r"another folder named photos \(/home/a/photos, not /home/b/photos\)"):
        transfer(here, there, "p")
    with closing(there.open("p")) as collection:
        stored = collection.payloads([point_id("photos", "0.png")])
    assert [payload["sha256"] for payload in stored.values()] == ["1"]
    assert there.metadata("p").roots == {"albums": "/albums", "photos": "/home/a/photos"}


def test_a_folder_that_has_moved_is_brought_up_to_date(here: EmbeddedEngine, there: ServedEngine):
    photos(here, "p", "/new/photos", ["1", "5", "3"])
    photos(there, "p", "/old/photos", ["1", "2", "3"])
    assert transfer(here, there, "p").copied == 1
    assert there.metadata("p").roots == {"albums": "/albums", "photos": "/new/photos"}


def test_another_encoder_is_refused(here: EmbeddedEngine, there: ServedEngine):
    there.create("c", replace(METADATA, fingerprint="fedcba")).close()
    with pytest.raises(CollectionError, match=r"filled by encoder fedcba .* the one to copy by 0123456789abcdef"):
        transfer(here, there, "c")


def test_a_vector_that_differs_is_found(here: EmbeddedEngine, there: ServedEngine):
    transfer(here, there, "c")
    known = ids(POINTS)
    with closing(there.open("c")) as collection:
        payloads = collection.payloads(known)
        collection.upsert(known, np.zeros((POINTS, 4), np.float32), [payloads[i] for i in known])
    with pytest.raises(CollectionError, match=r"points of 'c' differ in .* delete the collection there"):
        transfer(here, there, "c")


def test_payload_fields_of_other_tools_stay(here: EmbeddedEngine, there: ServedEngine):
    transfer(here, there, "c")
    there.server.client.set_payload("c@1", {"colour": "red"}, points=ids(1))
    assert transfer(here, there, "c").copied == 0
    with closing(there.open("c")) as collection:
        assert collection.payloads(ids(1))[ids(1)[0]]["colour"] == "red"
