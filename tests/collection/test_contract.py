"""What collections and engines must do, embedded or served."""

import functools
import itertools
import uuid
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cbir.collection.checks import check_encoder
from cbir.collection.errors import CollectionError
from cbir.collection.interface import Collection, Engine
from tests.collection.sample import METADATA, fill, ids


def test_hits_are_sorted_by_euclidean_distance(points: Collection):
    fill(points, np.array([[0, 0, 0, 0], [3, 4, 0, 0], [1, 0, 0, 0]], np.float32), [7, 8, 9])
    hits = points.search(np.zeros(4, np.float32), 10)
    assert [(h.distance, h.label, h.uri) for h in hits] == [(0, 7, "u0"), (1, 9, "u2"), (5, 8, "u1")]
    assert hits[0].id == ids(1)[0]
    assert [h.label for h in points.search(np.zeros(4, np.float32), 2)] == [7, 9]


@given(
    vectors=arrays.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(4)), elements=st.floats(-9, 9, width=16)),
    query=arrays.arrays(np.float32, 4, elements=st.floats(-9, 9, width=16)),
    k=st.integers(1, 40),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exact_search_is_brute_force(points: Collection, vectors: np.ndarray, query: np.ndarray, k: int):
    points.delete(ids(30))
    fill(points, vectors)
    found = [hit.distance for hit in points.search(query, k, exact=True)]
    expected = np.sort(np.linalg.norm(vectors - query, axis=1))[:k]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_batch_search_equals_single_searches(points: Collection):
    vectors = np.random.default_rng(0).random((50, 4), np.float32)
    fill(points, vectors)
    batch = points.search_batch(vectors[:5], 3)
    assert batch == [points.search(vector, 3) for vector in vectors[:5]]
    assert points.search_batch(vectors[:0], 3) == []


def test_hits_without_payloads_have_ids_and_distances(points: Collection):
    vectors = np.random.default_rng(0).random((50, 4), np.float32)
    fill(points, vectors)
    bare = points.search_batch(vectors[:5], 3, payloads=False)
    full = points.search_batch(vectors[:5], 3)
    assert bare == [[replace(hit, payload={}, label=None, uri="") for hit in hits] for hits in full]


def test_each_search_of_a_batch_may_have_a_filter_of_its_own(points: Collection):
    vectors = np.random.default_rng(0).random((50, 4), np.float32)
    fill(points, vectors, [number % 5 for number in range(50)])
    each = [{"label": [number]} for number in range(5)]
    for where in (None, {"label": [1, 2, 3]}):
        batch = points.search_batch(vectors[:5], 9, where=where, each=each)
        for number, hits in enumerate(batch):
            passing = where is None or number in (1, 2, 3)
            assert hits == (points.search(vectors[number], 9, where=each[number]) if passing else [])


def test_filters_run_in_qdrant_for_numbers_and_texts(points: Collection):
    labels: list[int | str | None] = [1, "münchen käse", 1, None, "1"]
    fill(points, np.eye(5, 4, dtype=np.float32), labels)
    zero = np.zeros(4, np.float32)

    def labels_of(*wanted: int | str) -> set[object]:
        return {(hit.label, hit.uri) for hit in points.search(zero, 9, where={"label": wanted})}

    assert labels_of(1) == {(1, "u0"), (1, "u2")}
    assert labels_of("münchen käse") == {("münchen käse", "u1")}
    assert labels_of(1, "1") == {(1, "u0"), (1, "u2"), ("1", "u4")}
    assert labels_of("none such") == set()
    assert {h.uri for h in points.search(zero, 9, where={"label": [1], "uri": ["u2", "u1"]})} == {"u2"}
    assert points.count(where={"label": [1]}) == 2
    assert labels_of(*np.unique([1, 1])) == {(1, "u0"), (1, "u2")}  # numpy's own integers


def test_an_empty_or_invalid_filter_never_matches_everything(points: Collection):
    fill(points, np.eye(3, 4, dtype=np.float32), [1, "1", None])
    assert points.count(where={"label": []}) == 0
    for wrong in ("1", [1.0], [None], [1, b"1"]):
        with pytest.raises(CollectionError, match="'label'"):
            points.count(where={"label": wrong})  # type: ignore[dict-item]


def test_the_same_id_is_replaced_not_added(points: Collection):
    fill(points, np.ones((3, 4), np.float32), [1, 2, 3])
    fill(points, np.zeros((2, 4), np.float32), [8, 9])
    assert points.count() == 3
    assert sorted(hit.label for hit in points.search(np.zeros(4, np.float32), 2)) == [8, 9]


def test_scroll_yields_every_point_once_with_its_vector(points: Collection):
    vectors = np.random.default_rng(1).random((25, 4), np.float32)
    stored = fill(points, vectors)
    pages = list(points.scroll(page=10))
    assert [len(page.ids) for page in pages] == [10, 10, 5]
    scrolled = {i: v for page in pages for i, v in zip(page.ids, page.vectors, strict=True)}
    assert scrolled.keys() == set(stored)
    assert all(np.array_equal(scrolled[i], v) for i, v in zip(stored, vectors, strict=True))
    assert next(points.scroll(vectors=False)).vectors.shape == (10 + 15, 0)


def test_scroll_begins_at_an_id_whether_or_not_it_is_there(points: Collection):
    fill(points, np.ones((25, 4), np.float32))
    ids = [point for page in points.scroll(vectors=False, page=10) for point in page.ids]
    assert [point for page in points.scroll(start=ids[11], page=10) for point in page.ids] == ids[11:]
    points.delete([ids[11]])
    assert next(points.scroll(start=ids[11], page=3, where={"uri": ["nowhere"]}), None) is None
    assert next(points.scroll(start=ids[11], page=3)).ids == ids[12:15]


def test_scroll_reads_only_the_given_fields(points: Collection):
    fill(points, np.ones((3, 4), np.float32), [7, None, 9])
    assert sorted(map(str, next(points.scroll(fields=["label"])).payloads)) == ["{'label': 7}", "{'label': 9}", "{}"]
    assert all(set(payload) == {"uri"} for payload in next(points.scroll(fields=("uri", "none_such"))).payloads)
    assert next(points.scroll(fields=(), vectors=False)).payloads == [{}, {}, {}]


def test_describe_replaces_payloads_and_leaves_vectors(points: Collection):
    vectors = np.random.default_rng(0).random((300, 4), np.float32)
    stored = fill(points, vectors, [1] * 300)
    unknown = str(uuid.uuid4())
    described = [{"uri": f"new{n}", "code": n} for n in range(299)]
    points.replace_payloads([*stored[:299], unknown], [*described, {"uri": "nobody"}])
    assert points.payloads(stored) == {
        **dict(zip(stored, described, strict=False)),
        stored[299]: {"uri": "u299", "label": 1},
    }
    assert points.count() == 300
    assert points.count(where={"label": [1]}) == 1
    assert points.count(where={"code": [7]}) == 1
    kept = points.vectors(stored)
    assert all(np.array_equal(kept[i], vector) for i, vector in zip(stored, vectors, strict=True))
    points.replace_payloads([], [])
    with pytest.raises(CollectionError, match="do not match"):
        points.replace_payloads(stored[:2], [{}])


def test_payloads_of_known_ids_only(points: Collection):
    stored = fill(points, np.ones((2, 4), np.float32), ["a", "b"])
    assert points.payloads([stored[1], str(uuid.uuid4())]) == {stored[1]: {"uri": "u1", "label": "b"}}


def test_delete_removes_and_ignores_unknown_ids(points: Collection):
    stored = fill(points, np.ones((3, 4), np.float32))
    points.delete([stored[0], str(uuid.uuid4())])
    points.delete([])
    assert points.count() == 2
    assert points.info().points == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused_and_nothing_stored(points: Collection, bad: float):
    vectors = np.ones((3, 4), np.float32)
    vectors[1, 2] = bad
    with pytest.raises(CollectionError, match="NaN or infinite"):
        fill(points, vectors)
    assert points.count() == 0
    with pytest.raises(CollectionError, match="NaN or infinite"):
        points.search(vectors[1], 1)


def test_wrong_dimension_and_counts_are_refused(points: Collection):
    with pytest.raises(CollectionError, match="vectors of 4 values"):
        fill(points, np.ones((3, 5), np.float32))
    with pytest.raises(CollectionError, match="vectors of 4 values"):
        points.search(np.ones(3, np.float32), 1)
    with pytest.raises(CollectionError, match="do not match"):
        points.upsert(ids(2), np.ones((3, 4), np.float32), [{}] * 3)


def test_k_below_one_is_refused_and_k_above_the_size_gives_all(points: Collection):
    fill(points, np.ones((3, 4), np.float32))
    with pytest.raises(CollectionError, match="at least 1"):
        points.search(np.ones(4, np.float32), 0)
    for k in (60_000, 2**70):
        assert len(points.search(np.ones(4, np.float32), k)) == 3


def test_remember_replaces_metadata_but_not_encoder_and_dimension(engine: Engine, points: Collection):
    points.remember(replace(METADATA, sources=("s", "t"), background=(0.5, 0.1, 3), fingerprint="other", dimension=9))
    points.close()
    with closing(engine.open("points")) as reopened:
        assert reopened.metadata == replace(METADATA, sources=("s", "t"), background=(0.5, 0.1, 3))
        assert engine.metadata("points") == reopened.metadata


def test_engine_lists_creates_and_deletes(engine: Engine, points: Collection):
    with closing(engine.create("other", METADATA)) as other:
        assert other.name == "other"
    assert engine.names() == ["other", "points"]
    assert [engine.exists(name) for name in ("other", "points", "another", "other@1", "../other", "")] == [
        *(True, True),
        *(False,) * 4,
    ]
    with pytest.raises(CollectionError, match="already"):
        engine.create("other", METADATA)
    engine.delete("other")
    assert engine.names() == ["points"]
    with pytest.raises(CollectionError, match=r"no collection 'other' in .* \(collections: points\)"):
        engine.open("other")


def test_another_encoder_is_refused_naming_both(points: Collection):
    check_encoder("points", points.metadata, METADATA.fingerprint, "here")
    with pytest.raises(CollectionError, match=r"0123456789abcdef .*model 'm'.* elsewhere is encoder fedcba"):
        check_encoder("points", points.metadata, "fedcba", "elsewhere")


def test_a_replacement_takes_effect_only_when_it_is_complete(engine: Engine, points: Collection):
    fill(points, np.ones((3, 4), np.float32))
    points.close()
    wider = replace(METADATA, dimension=2, fingerprint="new")

    def replace_with_one(fail: bool) -> None:
        with engine.replacement("points", wider) as collection:
            collection.upsert(ids(1), np.ones((1, 2), np.float32), [{}])
            if fail:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        replace_with_one(fail=True)
    with closing(engine.open("points")) as kept:
        assert kept.count() == 3
    replace_with_one(fail=False)
    with closing(engine.open("points")) as replaced:
        assert replaced.count() == 1
        assert replaced.metadata.fingerprint == "new"
    assert engine.names() == ["points"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("\ud800", "holds text that is not Unicode"),
        ({"\udce9": 1}, "holds text that is not Unicode"),
        ({1: 1}, "holds a key that is no text"),
        (10**400, "holds a number that is too large"),
        (float("nan"), "holds NaN"),
        ([[float("inf")]], "holds NaN or an infinite number"),
        ({1, 2}, "holds a set, which is no JSON value"),
        (functools.reduce(lambda inner, _: [inner], range(100), 1), "is nested more than 30 levels deep"),
        (functools.reduce(lambda inner, _: {"a": inner}, range(5000), 1), "is nested more than 30 levels deep"),
    ],
    ids=itertools.count(),
)
def test_a_payload_that_could_not_be_read_again_is_refused(
    engine: Engine, points: Collection, value: object, said: str
):
    """Of what is nested deeply, Qdrant Edge takes the point, and never opens the collection again."""
    first, second = ids(2)
    points.upsert([first], np.ones((1, 4), np.float32), [{"a": 1}])
    for store in (
        lambda payload: points.upsert([first, second], np.ones((2, 4), np.float32), [{}, payload]),
        lambda payload: points.replace_payloads([second], [payload]),
    ):
        with pytest.raises(CollectionError, match=f"the payload of point {second} {said}"):
            store({"a": value})
    with pytest.raises(CollectionError, match="'7' cannot be a point's id"):
        points.upsert(["7"], np.ones((1, 4), np.float32), [{}])
    points.close()
    with closing(engine.open("points")) as again:
        assert again.payloads([first, second]) == {first: {"a": 1}}


@pytest.mark.parametrize("lists", [True, False])
def test_a_payload_as_deep_as_allowed_is_read_again(engine: Engine, points: Collection, lists: bool):
    deep = {"a": functools.reduce(lambda inner, _: [inner] if lists else {"a": inner}, range(29), 1)}
    points.upsert(ids(1), np.ones((1, 4), np.float32), [deep])
    points.close()
    with closing(engine.open("points")) as again:
        assert again.payloads(ids(1)) == {ids(1)[0]: deep}
