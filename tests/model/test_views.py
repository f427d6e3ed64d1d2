import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.networks.views import Ranges, views
from tests.conftest import picture

STILL = Ranges(rotation=0, scale=(1, 1), shear=0, shift=0, elastic=0, noise=0)
WILD = Ranges(rotation=180, scale=(0.3, 3), shear=0.5, shift=0.5, elastic=0.1, noise=1, light=0.9, mirror=True)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@settings(deadline=None, max_examples=20)
@given(
    count=st.integers(1, 5),
    side=st.integers(8, 40),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_views_of_anything_are_pictures(count: int, side: int, channels: int, seed: int):
    images = np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), np.uint8)
    for view in views(images, WILD, np.random.default_rng(seed)):
        assert view.shape == images.shape
        assert view.dtype == np.float32
        assert np.isfinite(view).all()
        assert view.min() >= 0
        assert view.max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_without_ranges_a_view_differs_by_its_stretch_alone(channels: int):
    plain = np.full((4, 28, 28, channels), 100, np.uint8)
    noisy, clean = views(plain, STILL, generator())
    np.testing.assert_allclose(clean, 100 / 255, atol=1e-6)
    np.testing.assert_array_equal(noisy, clean)


def test_turning_moves_no_ink_away_from_the_middle():
    image = np.zeros((50, 29, 29, 1), np.uint8)
    image[:, 14, 22] = 255  # eight pixels from the middle
    _, clean = views(image, Ranges(90, (1, 1), 0, 0, 0, 0), generator())
    rows, columns = np.mgrid[:29, :29] - 14
    far = np.hypot(rows, columns)
    assert all(clean[:, (abs(far - 8) > 3.5)].max(axis=1) < 0.02)
    angles = [np.arctan2(*np.argwhere(view[..., 0] == view.max())[0] - 14) for view in clean]
    assert np.ptp(angles) > np.pi / 2


def test_half_of_the_views_are_noisy():
    images = np.stack([np.asarray(picture(seed))[..., None] for seed in range(200)])
    noisy, clean = views(images, Ranges(0, (1, 1), 0, 0, 0, 0.5), generator())
    assert 60 < (noisy != clean).any(axis=(1, 2, 3)).sum() < 140


def test_views_repeat_by_generator():
    images = np.stack([np.asarray(picture(seed))[..., None] for seed in range(3)])
    one, other = (views(images, WILD, generator())[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)
