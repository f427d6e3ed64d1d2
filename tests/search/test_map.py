"""Maps: the same each time, kept, and brought up to date without moving what has a place."""

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.interface import Collection
from cbir.collection.point import ids_of, raw_ids
from cbir.core.errors import CbirError
from cbir.core.settings import Settings
from cbir.search.map import neighbouring, placing
from cbir.search.map.kept import Map, file_of, read_map, write_map
from cbir.search.map.make import arrange_map, make_map
from tests.collection.sample import METADATA

#: Points of each of four groups, and values of a feature.
EACH, VALUES = 30, 12


def features(seed: int = 0, each: int = EACH, values: int = VALUES) -> np.ndarray:
    """Four groups far from each other, one after the other."""
    generator = np.random.default_rng(seed)
    middles = np.random.default_rng(7).normal(size=(4, values)) * 10
    return (middles[:, None] + generator.normal(size=(4, each, values))).reshape(-1, values).astype(np.float32)


def store(collection: Collection, vectors: np.ndarray, first: int = 0) -> list[str]:
    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(first + row))) for row in range(len(vectors))]
    collection.upsert(ids, vectors, [{"uri": each} for each in ids])
    return ids


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    engine = EmbeddedEngine(tmp_path / "collections")
    with closing(engine.create("groups", replace(METADATA, dimension=VALUES))) as made:
        yield made


def places_of(made: Map, ids: list[str], places: np.ndarray) -> np.ndarray:
    rows = {uuid.UUID(bytes=bytes(each)): row for row, each in enumerate(made.ids)}
    return places[[rows[uuid.UUID(each)] for each in ids]]


def apart(places: np.ndarray) -> bool:
    """Whether four groups of points, one after the other, are more apart than wide."""
    groups = places.reshape(4, -1, 2)
    middles = groups.mean(axis=1)
    widest = np.linalg.norm(groups - middles[:, None], axis=2).max()
    between = np.linalg.norm(middles[:, None] - middles, axis=2)[~np.eye(4, dtype=bool)]
    return bool(between.min() > widest)


@pytest.mark.parametrize("values", [VALUES, 3000])
def test_components_are_those_of_numpy_and_the_same_each_time(tmp_path: Path, values: int):
    vectors = features(values=values)
    with closing(EmbeddedEngine(tmp_path).create("groups", replace(METADATA, dimension=values))) as collection:
        ids = store(collection, vectors)
        made = make_map(collection)
        assert make_map(collection).version == made.version
    assert (made.principal.shape, made.principal.dtype, made.ids.shape) == ((120, 2), np.float32, (120, 16))
    centred = vectors - vectors.mean(axis=0)
    expected = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    found = places_of(made, ids, made.principal)
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-2)
    largest = np.abs(made.components.components).argmax(axis=1)
    assert (made.components.components[np.arange(len(largest)), largest] > 0).all()


@pytest.mark.parametrize("points", [0, 1, 2])
def test_few_points_have_a_map_as_well(collection: Collection, points: int):
    store(collection, features()[:points])
    made = make_map(collection)
    assert made.principal.shape == (points, 2)
    assert np.isfinite(made.principal).all()
    with pytest.raises(CbirError, match="too few"):
        arrange_map(collection, made)


def odd(kind: str, values: int) -> np.ndarray:
    """Features as an encoder may make them by mistake."""
    plain = features(values=values)
    if kind == "the same":
        return np.full_like(plain, 0.1)
    if kind == "mostly the same":
        plain[:, 1:] = 0.1
    elif kind == "one far away":
        plain[0] = -3e38
        plain[1] = 3e38
    else:
        plain *= np.float32({"very large": 1e30, "very small": 1e-30}[kind])
    return plain


@pytest.mark.parametrize("values", [VALUES, 2100])
@pytest.mark.parametrize("kind", ["very large", "very small", "the same", "mostly the same", "one far away"])
def test_odd_features_have_places_that_are_numbers(tmp_path: Path, kind: str, values: int):
    vectors = odd(kind, values)
    with closing(EmbeddedEngine(tmp_path).create("odd", replace(METADATA, dimension=values))) as collection:
        ids = store(collection, vectors[:-1])
        made = make_map(collection)
        found = places_of(made, ids, made.principal)
        assert np.isfinite(found).all()
        assert (np.ptp(found, axis=0).max() > 0) == (kind != "the same"), "what is the same lies in one place"
        if kind.startswith("very"):
            assert apart(np.concatenate([found, found[-1:]]))
            assert 1e-9 < np.ptp(found) < 1e9
        store(collection, vectors[-1:], first=1000)
        now = make_map(collection, replace(made, neighbours=made.principal))
        assert now.neighbours is not None
        assert (now.placed, np.isfinite(now.neighbours).all()) == (1, True)


@pytest.mark.parametrize("kind", ["very large", "the same"])
def test_odd_features_are_arranged(collection: Collection, monkeypatch: pytest.MonkeyPatch, kind: str):
    monkeypatch.setattr(neighbouring, "_PHASES", ((25, 12.0, 0.5), (25, 1.0, 0.8)))
    store(collection, odd(kind, VALUES))
    made = arrange_map(collection, make_map(collection))
    assert made.neighbours is not None
    assert np.isfinite(made.neighbours).all()


@pytest.mark.parametrize(("points", "nearest"), [(1, 10), (10, 10), (11, 10), (1000, 10), (997, 3)])
def test_points_come_amid_exactly_their_nearest_neighbours(points: int, nearest: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(placing, "_VALUES", 5000)  # some rows at once
    generator = np.random.default_rng(3)
    known, new = (generator.normal(size=(count, 5)).astype(np.float32) for count in (points, 23))
    places = generator.normal(size=(points, 2)).astype(np.float32)
    near = np.argsort(np.linalg.norm(new[:, None] - known, axis=2), axis=1)[:, :nearest]
    found = placing.beside(new, known, places, nearest=nearest)
    np.testing.assert_array_equal(found, np.median(places[near], axis=1))
    assert placing.beside(new[:0], known, places).shape == (0, 2)


def test_new_points_come_beside_their_neighbours_and_others_stay(collection: Collection):
    ids = store(collection, features())
    told: list[tuple[str, int, int | None]] = []
    made = arrange_map(collection, make_map(collection), lambda *report: told.append(report))
    assert made.neighbours is not None
    assert made.placed == 0
    before = places_of(made, ids, made.neighbours)
    assert apart(before)
    assert {stage for stage, _, _ in told} >= {"read", "neighbours", "arrange"}
    assert arrange_map(collection, made).version == made.version, "the same again"

    new = store(collection, features(seed=1, each=2), first=1000)
    collection.delete(ids[:1])
    now = make_map(collection, made)
    assert now.neighbours is not None
    assert (len(now.ids), now.placed) == (127, 8)
    np.testing.assert_array_equal(places_of(now, ids[1:], now.neighbours), before[1:])
    groups, beside = before.reshape(4, -1, 2), places_of(now, new, now.neighbours).reshape(4, -1, 2)
    for group, two in zip(groups, beside, strict=True):
        wide = np.linalg.norm(group - group.mean(axis=0), axis=1).max()
        assert (np.linalg.norm(two - group.mean(axis=0), axis=1) <= wide).all()
    np.testing.assert_array_equal(now.components.components, made.components.components)
    assert make_map(collection, now) is now, "nothing has changed"


def test_components_are_learned_anew_once_much_has_changed(collection: Collection):
    store(collection, features())
    made = make_map(collection)
    store(collection, features(seed=2), first=1000)
    now = make_map(collection, made)
    assert (made.learned, now.learned) == (120, 240)
    assert not np.array_equal(made.components.components, now.components.components)


def test_of_very_many_some_are_arranged(collection: Collection, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cbir.search.map.make.MOST", 60)
    ids = store(collection, features())
    made = arrange_map(collection, make_map(collection))
    assert made.neighbours is not None
    assert made.placed == 60
    assert apart(places_of(made, ids, made.neighbours))


def test_it_is_stopped_at_once(collection: Collection, monkeypatch: pytest.MonkeyPatch):
    store(collection, features())
    made = make_map(collection)
    monkeypatch.setattr(neighbouring, "_PHASES", ((10_000_000, 1.0, 0.8),))
    monkeypatch.setattr(neighbouring, "_AT_ONCE", 1_000_000)
    end = time.monotonic() + 3

    def stop(stage: str, done: int, total: int | None, note: str = "") -> None:
        if stage == "arrange" and time.monotonic() > end:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        arrange_map(collection, made, stop)
    assert time.monotonic() < end + 10


def test_without_the_extra_it_is_said_how_to_install_it(collection: Collection, monkeypatch: pytest.MonkeyPatch):
    store(collection, features())
    made = make_map(collection)
    monkeypatch.setattr(neighbouring, "can_arrange", lambda: False)
    with pytest.raises(CbirError, match=r"pip install '\.\[map\]'"):
        arrange_map(collection, made)


def test_it_is_kept_and_goes_with_its_collection(collection: Collection, tmp_path: Path):
    store(collection, features())
    settings = Settings(tmp_path, tmp_path / "cache")
    file = file_of(settings, "groups", METADATA.created)
    assert file.parent == tmp_path / "collections" / "groups"
    made = arrange_map(collection, make_map(collection))
    write_map(file, made)
    again = read_map(file, made.fingerprint, VALUES)
    assert again is not None
    assert again.version == made.version
    assert (again.placed, again.learned) == (0, 120)
    assert make_map(collection, again) is again
    assert read_map(file, "another encoder", VALUES) is None
    assert read_map(file, made.fingerprint, VALUES + 1) is None

    engine = EmbeddedEngine(tmp_path / "collections")
    collection.close()
    assert engine.leftovers() == []
    with engine.writing("groups"), engine.replacement("groups", collection.metadata):
        assert file.exists()
    assert not file.exists(), "a retrained collection has none"
    write_map(file, made)
    with engine.writing("groups"):
        engine.delete("groups")
    assert not file.parent.exists()


def test_ids_of_other_tools_are_whole_numbers():
    each = str(uuid.uuid4())
    assert ids_of(raw_ids([each, str(2**64 - 1), "7"])) == [each, str(2**64 - 1), "7"]
    assert [uuid.UUID(bytes=bytes(raw)) for raw in raw_ids([each, str(2**64 - 1)])] == [
        uuid.UUID(each),
        uuid.UUID(int=2**64 - 1),
    ]


def test_that_of_a_server_is_in_the_cache(tmp_path: Path):
    one, other = (Settings(tmp_path, tmp_path / "cache", qdrant_url=f"http://{host}:6333") for host in ("a", "b"))
    assert file_of(one, "groups", "now").parent.parent == tmp_path / "cache" / "maps"
    files = {file_of(each, name, when) for each in (one, other) for name in ("groups", "x") for when in ("now", "then")}
    assert len(files) == 8, "another server's, another's, one of that name that was made anew"


def test_a_damaged_file_is_as_good_as_none(collection: Collection, tmp_path: Path):
    store(collection, features())
    made = make_map(collection)
    file = tmp_path / "map.npz"

    def kept(damaged: Map) -> Map | None:
        write_map(file, damaged)
        return read_map(file, made.fingerprint, VALUES)

    assert kept(made) is not None
    content = bytearray(file.read_bytes())
    for size in range(0, len(content), 101):
        file.write_bytes(content[:size])
        assert read_map(file, made.fingerprint, VALUES) is None
    encrypted = content.rindex(b"PK\x01\x02") + 8
    file.write_bytes(content[:encrypted] + bytes([content[encrypted] ^ 1]) + content[encrypted + 1 :])
    assert read_map(file, made.fingerprint, VALUES) is None
    for place in range(0, len(content), 53):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        found = read_map(file, made.fingerprint, VALUES)
        assert found is None or found.version == made.version, "a byte that says nothing of the map"
    assert kept(replace(made, principal=np.full_like(made.principal, np.nan))) is None
    assert kept(replace(made, principal=made.principal[1:])) is None
    assert kept(replace(made, ids=made.ids[::-1])) is None
    assert kept(replace(made, neighbours=made.principal.astype(np.float64))) is None
    assert kept(replace(made, placed=121)) is None
