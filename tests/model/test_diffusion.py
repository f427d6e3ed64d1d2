import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.model.diffusion import aligned, diffusion, nearest, neighbours_of


def two_arcs(count: int) -> np.ndarray:
    """Points along two half circles side by side: an arc's ends are nearer to the other arc than to each other."""
    angles = np.linspace(0, np.pi, count)
    outer = np.column_stack([np.cos(angles), np.sin(angles)])
    inner = np.column_stack([1 - np.cos(angles), 0.4 - np.sin(angles)])
    return np.concatenate([outer, inner]).astype(np.float32)


def test_nearest_leaves_out_the_point_itself():
    points = np.array([[0], [1], [3], [7]], np.float32)
    assert nearest(points, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert nearest(points, 9).shape == (4, 3)


def test_few_points_have_few_neighbours():
    assert [neighbours_of(count) for count in (1, 150, 1_500, 60_000)] == [3, 4, 13, 15]


@pytest.mark.parametrize("values", [8, 300])
def test_what_is_linked_by_a_chain_is_near(values: int):
    points = two_arcs(200)
    embedded = diffusion(nearest(points, 10), values)
    assert embedded.shape == (400, values)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-5)
    across, along = np.linalg.norm(points[0] - points[200]), np.linalg.norm(points[0] - points[199])
    assert across < along
    assert embedded[0] @ embedded[199] > 0.3
    assert abs(embedded[0] @ embedded[200]) < 0.05


def test_the_same_seed_gives_the_same_embedding():
    neighbours = nearest(two_arcs(100), 10)
    np.testing.assert_array_equal(diffusion(neighbours, 8), diffusion(neighbours, 8))


@settings(max_examples=25)
@given(count=st.integers(2, 60), seed=st.integers(0, 2**32 - 1), copies=st.booleans())
def test_any_points_can_be_embedded(count: int, seed: int, copies: bool):
    points = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    if copies:
        points[count // 2 :] = points[0]
    embedded = diffusion(nearest(points, 15), 16)
    assert embedded.shape == (count, 16)
    assert np.isfinite(embedded).all()


def test_aligning_turns_and_nothing_else():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(50, 6)).astype(np.float32)
    turned = points @ np.linalg.qr(generator.normal(size=(6, 6)))[0].astype(np.float32)
    np.testing.assert_allclose(aligned(turned, points), points, atol=1e-4)
    other = aligned(turned, generator.normal(size=(50, 6)).astype(np.float32))
    np.testing.assert_allclose(other @ other.T, points @ points.T, atol=1e-3)
