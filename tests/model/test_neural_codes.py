from pathlib import Path

import numpy as np
import pytest

from cbir.model.bundle import write_bundle
from cbir.model.errors import ModelError
from cbir.model.method import Examples, Learned
from cbir.model.networks.neural_codes import Recipe, labelled_batches, learn, neural_coder, shifted
from cbir.model.preprocessing import Preprocessing, to_unit

RECIPE = Recipe(epochs=6, batch_size=16)


def stripes(count: int, shape: tuple[int, int, int]) -> Examples:
    """Pictures of two classes: dark above, or dark on the left."""
    generator = np.random.default_rng(0)
    images = generator.integers(100, 255, (count, *shape), np.uint8)
    labels = np.arange(count) % 2
    images[labels == 0, : shape[0] // 2] //= 4
    images[labels == 1, :, : shape[1] // 2] //= 4
    return Examples(images, labels)


@pytest.fixture(scope="module")
def learned() -> Learned:
    return learn(stripes(64, (28, 28, 1)), RECIPE)


def test_pictures_of_a_class_come_closer_than_others(learned: Learned):
    assert learned.history is not None
    assert learned.history.loss[-1] < 0.5 * learned.history.loss[0]
    unseen = stripes(20, (28, 28, 1))
    features = np.asarray(learned.network(to_unit(unseen.images[::-1])))  # type: ignore[misc]
    alike = features @ features.T
    same = np.add.outer(np.arange(20), np.arange(20)) % 2 == 0
    assert alike[same].min() > alike[~same].max()


def test_a_bundle_s_features_are_unit_vectors(learned: Learned, tmp_path: Path):
    preprocessing = Preprocessing(28, 28, 1)
    described = {"encoder": "neural-codes", "revision": 1, "recipe": None}
    bundle = write_bundle(tmp_path / "m", learned, preprocessing, described=described)
    images = stripes(9, (28, 28, 1)).images
    features = bundle.encoder(threads=1).encode(images)
    assert features.shape == (9, 128)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(features, np.asarray(learned.network(to_unit(images))), atol=1e-5)  # type: ignore[misc]
    with pytest.raises(ModelError, match="no decoder"):
        bundle.autoencoder()


@pytest.mark.parametrize("shape", [(32, 32, 3), (64, 64, 3), (16, 16, 1)])
def test_other_inputs_give_128_values_too(shape: tuple[int, int, int]):
    network, classifier = neural_coder(shape, 7, 0)
    assert network.output_shape == (None, 128)
    assert classifier.output_shape == (None, 7)
    assert classifier.count_params() < 1_000_000


def test_without_labels_nothing_is_learned():
    with pytest.raises(ModelError, match="labels"):
        learn(Examples(stripes(4, (28, 28, 1)).images), RECIPE)


def test_a_shift_moves_the_picture_and_draws_its_edges_out():
    picture = np.arange(28, dtype=np.float32)[None, :, None, None] * np.ones((40, 1, 28, 1), np.float32)
    moved = shifted(picture, np.random.default_rng(0))
    offsets = moved[:, 14, 0, 0] - 14
    assert set(offsets) == {-2, -1, 0, 1, 2}
    for image, offset in zip(moved, offsets, strict=True):
        np.testing.assert_array_equal(image[:, 3, 0], np.clip(np.arange(28) + offset, 0, 27))


def test_every_image_comes_once_an_epoch_with_its_label_and_grey_is_never_flipped():
    for channels, flips in ((1, False), (3, True)):
        # Twelve classes, each of one brightness, brighter to the right.
        labels = np.arange(12).repeat(4)
        ramp = np.linspace(0, 20, 32).astype(np.uint8)
        images = (labels * 20).astype(np.uint8)[:, None, None, None] + ramp[None, None, :, None]
        images = np.broadcast_to(images, (48, 32, 32, channels)).copy()
        batches = list(labelled_batches(images, labels, RECIPE, 0))
        assert sorted(np.concatenate([wanted for _, wanted in batches])) == sorted(labels)
        pixels = np.concatenate([given for given, _ in batches])
        middle = (pixels[:, 16, 16, 0] * 255).round() // 20  # what no shift by two pixels changes
        np.testing.assert_array_equal(middle, np.concatenate([wanted for _, wanted in batches]))
        assert (pixels[:, 0, 0, 0] > pixels[:, 0, -1, 0]).any() == flips
