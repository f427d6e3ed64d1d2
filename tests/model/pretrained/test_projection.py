"""The plain projection keeps what a source's pictures differ in, and works for any number of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.model.diffusion import nearest
from cbir.model.pretrained.projection import among_neighbours, projection


def pictures(count: int, dimension: int = 300, spread: int = 8, seed: int = 0) -> np.ndarray:
    """Features that differ in `spread` directions, and a little in all, (count, dimension)."""
    generator = np.random.default_rng(seed)
    mixed = np.random.default_rng(99).normal(size=(spread, dimension))
    varied = generator.normal(size=(count, spread)) @ mixed + 0.1 * generator.normal(size=(count, dimension))
    return (20 + varied).astype(np.float32)


def test_distances_are_those_of_the_network_where_the_values_suffice():
    raw = pictures(200)
    made = projection(raw, values=20).apply(raw)
    root = np.sqrt(raw)
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    centred = root - root.mean(axis=0) * 200 / 201
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(made @ made.T, expected @ expected.T, atol=0.05)


def test_a_feature_has_no_more_values_than_the_network_gives():
    assert projection(pictures(50, dimension=30)).values == 30
    assert projection(pictures(50)).values == 256


@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_few_pictures_do_not_span_is_told_apart_by_the_general_directions(count: int):
    general = pictures(100, seed=1) - 20
    later = pictures(60, seed=2)
    head = projection(pictures(count), general, values=8)
    changed = later + 4 * np.random.default_rng(3).normal(size=later.shape).astype(np.float32)
    assert ((head.apply(changed) @ head.apply(later).T).argmax(axis=1) == np.arange(60)).mean() > 0.8


@settings(max_examples=20)
@given(count=st.integers(1, 12), same=st.booleans(), known=st.booleans())
def test_any_pictures_will_do(count: int, same: bool, known: bool):
    raw = np.repeat(pictures(1), count, axis=0) if same else pictures(count)
    general = pictures(10, seed=1) if known else None
    head = projection(raw, general, values=16)
    made = head.apply(raw)
    assert made.shape == (count, 16)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    if same:
        np.testing.assert_allclose(made, made[:1].repeat(count, axis=0), atol=1e-5)
    np.testing.assert_array_equal(made, projection(raw, general, values=16).apply(raw))


def test_what_neighbours_differ_in_counts_less():
    generator = np.random.default_rng(0)
    kind = generator.integers(0, 12, 300)
    raw = 5 + np.random.default_rng(1).normal(size=(12, 60))[kind]
    raw += 4 * generator.normal(size=(300, 8)) @ np.linalg.qr(generator.normal(size=(60, 8)))[0].T
    raw = np.maximum(raw, 0).astype(np.float32)
    plain = projection(raw, values=40)
    near = among_neighbours(plain, raw, values=30)
    assert near.values == 30

    def same_kind(features: np.ndarray) -> float:
        return float((kind[nearest(features, 10)] == kind[:, None]).mean())

    assert same_kind(near.apply(raw)) > same_kind(plain.apply(raw)) + 0.05


def test_equal_pictures_have_no_directions_in_which_they_differ():
    raw = np.repeat(pictures(1), 8, axis=0)
    assert np.isfinite(among_neighbours(projection(raw, values=16), raw, values=8).apply(raw)).all()
