from pathlib import Path

import numpy as np
import pytest

from cbir.core.options import OptionError
from cbir.model.bundle import write_bundle
from cbir.model.codes import codes
from cbir.model.method import Examples, Learned
from cbir.model.networks.deep_autoencoder import Recipe, binary_autoencoder, learn
from cbir.model.networks.denoising import denoise
from cbir.model.preprocessing import Preprocessing, to_unit
from tests.conftest import picture

SHAPE = (16, 16, 1)
RECIPE = Recipe(epochs=12, batch_size=32, noise=0.2, bits=40, short_bits=12)


def images(count: int) -> np.ndarray:
    return np.stack([np.asarray(picture(seed, SHAPE[:2]))[..., None] for seed in range(count)])


@pytest.fixture(scope="module")
def learned() -> Learned:
    return learn(Examples(images(256)), RECIPE)


def test_what_runs_gives_exactly_bits_that_differ_where_pictures_do(learned: Learned, tmp_path: Path):
    described = {"encoder": "deep-autoencoder", "revision": 1, "recipe": None}
    bundle = write_bundle(tmp_path / "m", learned, Preprocessing(*SHAPE), described=described)
    encoder = bundle.encoder(threads=1)
    features = encoder.encode(images(256))
    assert features.shape == (256, 40)
    assert set(np.unique(features)) == {0.0, 1.0}
    assert encoder.code_bits == 12
    # Not asleep: each bit is on for some pictures, and the codes tell pictures apart.
    activity = features.mean(0)
    assert (activity > 0.05).all()
    assert (activity < 0.95).all()
    assert len(np.unique(features, axis=0)) > 200
    assert len(set(codes(features, 12))) > 30
    # The file of layers alone, loaded without code of ours, is the same encoder and takes noise away.
    clean = to_unit(images(32))
    noisy, denoised = denoise(bundle.autoencoder(), images(32), noise=0.3)
    assert np.square(to_unit(denoised) - clean).mean() < 0.5 * np.square(to_unit(noisy) - clean).mean()


def test_training_goes_on_where_it_stopped(tmp_path: Path):
    recipe = Recipe(epochs=3, batch_size=16, bits=16, short_bits=8)
    examples = Examples(images(32))
    plain = learn(examples, recipe)

    def interrupt(stage: str, done: int, total: int | None, note: str = "") -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(examples, recipe, checkpoint=tmp_path / "c.npz", progress=interrupt)
    resumed = learn(examples, recipe, checkpoint=tmp_path / "c.npz")
    assert resumed.history == plain.history
    for one, other in zip(plain.network.get_weights(), resumed.network.get_weights(), strict=True):  # type: ignore[union-attr]
        np.testing.assert_array_equal(one, other)


def test_every_second_picture_is_restored_from_its_short_code_alone():
    """Other long bits change nothing where only the short code counts."""
    network, twin = binary_autoencoder(SHAPE, RECIPE)
    pixels = to_unit(images(6))
    before = np.asarray(twin(pixels))
    last = next(layer for layer in network.layers if layer.name.startswith("dense") and layer.units == RECIPE.bits)
    kernel, bias = last.get_weights()
    last.set_weights([kernel, bias + np.where(np.arange(RECIPE.bits) < RECIPE.short_bits, 0, 100).astype(np.float32)])
    changed = (np.asarray(twin(pixels)) != before).any((1, 2, 3))
    assert changed.tolist() == [False, True] * 3


def test_a_code_no_longer_than_the_short_one_is_all_short():
    assert learn(Examples(images(8)), Recipe(epochs=1, bits=16)).code_bits == 16


@pytest.mark.parametrize("options", [{"bits": 7}, {"bits": 513}, {"short_bits": 33}, {"short_bits": 0}, {"noise": -1}])
def test_lengths_out_of_range_are_refused(options: dict[str, int]):
    with pytest.raises(OptionError, match=next(iter(options)).replace("_", "-")):
        Recipe(**options)  # type: ignore[arg-type]
