from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.model.networks.contrastive.views import Ranges, halved, views
from tests.conftest import picture

STILL = Ranges(rotation=0, scale=(1, 1), shear=0, shift=0, elastic=0, noise=0)
WILD = Ranges(
    rotation=180,
    scale=(0.3, 3),
    shear=0.5,
    shift=0.5,
    elastic=0.1,
    noise=1,
    blur=0.2,
    crop=True,
    light=0.9,
    mirror=True,
)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@settings(max_examples=20)
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


def test_half_of_the_views_are_blurred():
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), np.uint8)
    sharp, _ = views(images, STILL, generator())
    soft, clean = views(images, replace(STILL, blur=0.05), generator())
    np.testing.assert_array_equal(soft, clean)
    softer = soft.std(axis=(1, 2, 3)) < 0.9 * sharp.std(axis=(1, 2, 3))
    assert 60 < softer.sum() < 140


def test_a_crop_shows_any_part_and_nothing_from_outside():
    ramp = np.tile(np.arange(0, 250, 5, dtype=np.uint8)[None, None, :, None], (100, 50, 1, 3))
    near, _ = views(ramp, replace(STILL, scale=(2, 2)), generator())
    far, _ = views(ramp, replace(STILL, scale=(2, 2), crop=True), generator())
    middles = far[:, 25, 25, 0] * 255
    assert np.ptp(near[:, 25, 25, 0] * 255) < 5
    assert middles.min() < 75 < 175 < middles.max()
    assert (np.diff(far[:, 25, :, 0], axis=1) > 0).all()  # mirrored at no border


def test_halved_ranges_go_half_as_far_and_still_crop():
    drawing = halved(Ranges(rotation=40, scale=(0.25, 4), shear=0.2, shift=0.1, elastic=0.02, noise=0.5, blur=0.04))
    assert drawing == Ranges(rotation=20, scale=(0.5, 2), shear=0.1, shift=0.05, elastic=0.01, noise=0.25, blur=0.02)
    assert halved(WILD).scale == WILD.scale
    assert (halved(WILD).light, halved(WILD).mirror) == (WILD.light, WILD.mirror)


def test_views_repeat_by_generator():
    images = np.stack([np.asarray(picture(seed))[..., None] for seed in range(3)])
    one, other = (views(images, WILD, generator())[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_another_light_changes_colour_and_leaves_shape():
    images = np.zeros((200, 8, 8, 3), np.uint8)
    images[:, :, 4:] = (150, 100, 60)
    lit, _ = views(images, replace(STILL, light=0.4), generator())
    dark, bright = lit[:, :, :3], lit[:, :, 5:]
    assert np.ptp(bright, axis=(1, 2)).max() < 1e-5  # what was of one colour still is
    assert (bright.mean(axis=(1, 2, 3)) > dark.mean(axis=(1, 2, 3))).all()
    grey = np.ptp(bright.mean(axis=(1, 2)), axis=1) < 0.01
    assert 20 < grey.sum() < 60
    strongest = bright.mean(axis=(1, 2))[~grey].argmax(axis=1)
    assert np.bincount(strongest, minlength=3)[0] > 80
