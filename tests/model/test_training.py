from pathlib import Path

import keras
import numpy as np
import pytest

from cbir.model.networks.autoencoder import article_autoencoder, picture_autoencoder
from cbir.model.networks.export import CODE_LAYER
from cbir.model.networks.faster import fast_twin, to_phases
from cbir.model.networks.training import noisy_batches, train
from cbir.model.preprocessing import to_unit
from cbir.model.recipe import Recipe
from tests.conftest import picture

RECIPE = Recipe(epochs=3, batch_size=32, seed=5)


def images(count: int) -> np.ndarray:
    return np.stack([np.asarray(picture(seed))[..., None] for seed in range(count)])


def trained(**changes: object) -> tuple[list[np.ndarray], list[float]]:
    autoencoder = article_autoencoder(RECIPE.seed)
    history = train(autoencoder, images(70), RECIPE, **changes)  # type: ignore[arg-type]
    return autoencoder.get_weights(), list(history.loss)


@pytest.fixture(scope="module")
def plain() -> tuple[list[np.ndarray], list[float]]:
    """Weights and losses of a training that nothing disturbed."""
    return trained()


def test_architecture_is_the_article_s():
    autoencoder = article_autoencoder(0)
    kinds = [(type(layer).__name__, layer.output.shape[1:]) for layer in autoencoder.layers[1:]]
    assert kinds == [
        ("Conv2D", (28, 28, 16)),
        ("MaxPooling2D", (14, 14, 16)),
        ("Conv2D", (14, 14, 8)),
        ("MaxPooling2D", (7, 7, 8)),
        ("Conv2D", (7, 7, 8)),
        ("MaxPooling2D", (4, 4, 8)),
        ("Conv2D", (4, 4, 8)),
        ("UpSampling2D", (8, 8, 8)),
        ("Conv2D", (8, 8, 8)),
        ("UpSampling2D", (16, 16, 8)),
        ("Conv2D", (14, 14, 16)),
        ("UpSampling2D", (28, 28, 16)),
        ("Conv2D", (28, 28, 1)),
    ]
    assert autoencoder.get_layer(CODE_LAYER).output.shape[1:] == (4, 4, 8)
    assert autoencoder.count_params() == 4385


@pytest.mark.parametrize(("towers", "count"), [(1, 7), (2, 7), (3, 7), (3, 1)])
def test_fast_twin_computes_the_same_with_the_same_weights(towers: int, count: int):
    autoencoder = article_autoencoder(1)
    noise = np.random.default_rng(0).random((count, 28, 28, 1), np.float32)
    twin = fast_twin(autoencoder, towers)
    logits = np.asarray(twin(noise))
    restored = np.asarray(autoencoder(noise))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), to_phases(restored), atol=2e-6)
    assert {id(w) for w in twin.trainable_variables} == {id(w) for w in autoencoder.trainable_variables}


def test_fast_twin_has_the_same_gradients():
    """One step of plain SGD on either gives the same weights."""
    clean = to_unit(images(9))
    plain, fast = article_autoencoder(2), article_autoencoder(2)
    plain.compile(keras.optimizers.SGD(0.5), keras.losses.BinaryCrossentropy())
    plain.train_on_batch(clean, clean)
    twin = fast_twin(fast, 2)
    twin.compile(keras.optimizers.SGD(0.5), keras.losses.BinaryCrossentropy(from_logits=True))
    twin.train_on_batch(clean, to_phases(clean))
    for one, other in zip(plain.get_weights(), fast.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_training_learns_and_repeats_by_seed(plain: tuple[list[np.ndarray], list[float]]):
    weights, loss = plain
    assert loss[-1] < 0.9 * loss[0]
    again, same_loss = trained()
    assert same_loss == loss
    assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))


def test_interrupted_training_goes_on_as_if_it_had_not_been(
    tmp_path: Path, plain: tuple[list[np.ndarray], list[float]]
):
    weights, loss = plain

    def interrupt(stage: str, done: int, total: int | None, note: str = "") -> None:
        if done == 5:  # in the second epoch of three batches
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=checkpoint, progress=interrupt)
    assert checkpoint.exists()
    started = []
    resumed, resumed_loss = trained(checkpoint=checkpoint, progress=lambda stage, done, *_: started.append(done))
    assert started[0] == 4
    assert resumed_loss == loss
    assert all(np.array_equal(a, b) for a, b in zip(weights, resumed, strict=True))


@pytest.mark.parametrize("damage", ["other recipe", "not a checkpoint"])
def test_a_checkpoint_that_does_not_fit_is_ignored(
    tmp_path: Path, damage: str, plain: tuple[list[np.ndarray], list[float]]
):
    checkpoint = tmp_path / "checkpoint.npz"
    if damage == "other recipe":
        train(article_autoencoder(0), images(70), Recipe(epochs=1), checkpoint=checkpoint)
    else:
        checkpoint.write_bytes(b"PK nothing")
    _, loss = trained(checkpoint=checkpoint)
    assert loss == plain[1]


def test_noise_is_drawn_anew_each_epoch_and_clipped():
    def epoch(number: int) -> dict[bytes, np.ndarray]:
        batches = list(noisy_batches(images(40), RECIPE, number))
        return {c.tobytes(): n for noisy, clean in batches for n, c in zip(noisy, clean, strict=True)}

    first, again, second = epoch(0), epoch(0), epoch(1)
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert first.keys() == second.keys()
    assert not any(np.array_equal(first[key], second[key]) for key in first)
    assert min(n.min() for n in first.values()) == 0
    assert max(n.max() for n in first.values()) == 1


def test_held_out_loss_is_watched():
    history = train(article_autoencoder(0), images(40), RECIPE, held_out=images(8))
    assert len(history.validation) == len(history.loss) == RECIPE.epochs


@pytest.mark.parametrize(
    ("shape", "values"), [((32, 32, 3), 256), ((64, 64, 3), 256), ((64, 64, 1), 256), ((48, 48, 3), 396)]
)
def test_other_shapes_have_an_autoencoder_of_the_same_idea(shape: tuple[int, int, int], values: int):
    autoencoder = picture_autoencoder(shape, 0)
    assert autoencoder.output_shape == (None, *shape)
    assert np.prod(autoencoder.get_layer(CODE_LAYER).output.shape[1:]) == values
    pictures = np.random.default_rng(0).random((3, *shape), np.float32)
    logits = np.asarray(fast_twin(autoencoder, 2)(pictures))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), to_phases(np.asarray(autoencoder(pictures))), atol=2e-6)
