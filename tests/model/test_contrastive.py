from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from cbir.core.options import OptionError
from cbir.model.method import Examples, Learned
from cbir.model.networks.contrastive.encoder import Recipe, curriculum_for, learn, learning_rate
from cbir.model.networks.contrastive.layers import contrastive_network
from cbir.model.networks.contrastive.loss import info_nce, place_loss, similarity_loss
from cbir.model.preprocessing import to_unit
from tests.conftest import picture

RECIPE = Recipe(epochs=4, batch_size=16, seed=3)
COUNT = 64


def images(count: int) -> np.ndarray:
    return np.stack([np.asarray(picture(seed))[..., None] for seed in range(count)])


def features(network: keras.Model, pixels: np.ndarray) -> np.ndarray:
    encoder = keras.Model(network.input, network.get_layer("encoder").output)
    return np.asarray(encoder(to_unit(pixels)))


@pytest.fixture(scope="module")
def learned() -> Learned:
    return learn(Examples(images(COUNT)), RECIPE)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (48, 48, 1), (64, 64, 3), (112, 112, 3)])
def test_pictures_of_any_size_come_out_as_they_went_in(shape: tuple[int, int, int], wide: bool):
    network = contrastive_network(shape, 0, wide=wide)
    assert network.output_shape == (None, *shape)
    assert network.get_layer("encoder").output.shape[1] <= 128


def test_learning_learns(learned: Learned):
    loss = learned.history.loss
    assert len(loss) == RECIPE.epochs
    assert loss[3] < loss[2]  # both of the last stage: before, other losses are added up


@pytest.mark.parametrize("steps", [4, 360, 2400])
def test_the_learning_rate_rises_to_its_peak_and_ends_at_nothing(steps: int):
    rates = [float(learning_rate(steps)(step)) for step in (0, min(100, steps // 4), steps - 1, steps)]
    assert rates[:2] == pytest.approx([1e-4, 2e-3])
    assert rates[2] < 0.3 * rates[1]  # of 4 steps, 3 of decay
    assert rates[3] == pytest.approx(0, abs=1e-9)


def test_features_have_norm_one(learned: Learned):
    np.testing.assert_allclose(np.linalg.norm(features(learned.network, images(20)), axis=1), 1, atol=1e-5)


def test_photographs_are_learned_from_their_views_alone():
    photographs = np.stack(
        [np.stack([picture(3 * seed + n, (32, 32)) for n in range(3)], axis=-1) for seed in range(40)]
    )
    learned = learn(Examples(photographs), RECIPE)
    assert learned.history.loss[-1] < learned.history.loss[0]
    names = {layer.name for layer in learned.network.layers}
    assert "encoder" in names
    assert not {"likeness", "place"} & names
    np.testing.assert_allclose(np.linalg.norm(features(learned.network, photographs), axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "count", "default"),
    [((28, 28, 1), 60_000, 40), ((28, 28, 1), 1500, 20), ((32, 32, 3), 60_000, 15), ((32, 32, 3), 1500, 15)],
)
def test_how_far_a_picture_may_be_turned_can_be_chosen(shape: tuple[int, int, int], count: int, default: float):
    assert curriculum_for(shape, count, Recipe()).ranges.rotation == default
    assert curriculum_for(shape, count, Recipe(rotation=0)).ranges.rotation == 0
    assert curriculum_for(shape, count, Recipe(rotation=180)).ranges.rotation == 180


def test_views_of_few_drawings_are_half_as_different_but_all_noise_is_removed():
    many, few = (curriculum_for((28, 28, 1), count, Recipe(noise=0.6)) for count in (60_000, 1500))
    for name in ("shear", "shift", "elastic", "blur", "noise"):
        assert getattr(few.ranges, name) == getattr(many.ranges, name) / 2
    assert few.restored_noise == 0.6
    assert few.stages[-1] < many.stages[-1]


@pytest.mark.parametrize(("count", "channels"), [(1, 1), (3, 1), (1, 3)])
def test_the_fewest_pictures_give_features(count: int, channels: int):
    pictures = np.repeat(images(count), channels, axis=3)
    learned = learn(Examples(pictures), RECIPE)
    found = features(learned.network, pictures)
    assert np.isfinite(learned.history.loss).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_an_interrupted_training_goes_on_as_it_began(tmp_path: Path, learned: Learned):
    def interrupt(stage: str, done: int, total: int | None, note: str = "") -> None:
        if note.startswith("epoch 3"):
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        learn(Examples(images(COUNT)), RECIPE, checkpoint=checkpoint, progress=interrupt)
    notes: list[str] = []
    resumed = learn(
        Examples(images(COUNT)), RECIPE, checkpoint=checkpoint, progress=lambda *report: notes.append(str(report[-1]))
    )
    assert next(note for note in notes if note.startswith("epoch")).startswith("epoch 3")
    assert resumed.history.loss[:2] == learned.history.loss[:2]
    assert len(resumed.history.loss) == RECIPE.epochs
    assert resumed.history.resumed > learned.history.resumed == 0


def test_quality_is_taught_by_teachers_and_goes_on_after_them(tmp_path: Path):
    recipe = replace(RECIPE, preset="quality", epochs=2)
    checkpoint = tmp_path / "checkpoint.npz"
    reports: list[tuple[int, int | None, str]] = []

    def watch(stage: str, done: int, total: int | None, note: str = "") -> None:
        reports.append((done, total, note))
        if note.startswith("epoch 2") and not resumed:
            raise KeyboardInterrupt

    resumed = False
    with pytest.raises(KeyboardInterrupt):
        learn(Examples(images(32)), recipe, checkpoint=checkpoint, progress=watch)
    trained = [note.partition(", epoch")[0] for _, total, note in reports if total]
    assert list(dict.fromkeys(trained))[:2] == ["teacher 1", "teacher 2"]
    assert [done for done, total, _ in reports if total] == list(range(1, len(trained) + 1))
    assert len({total for _, total, _ in reports if total}) == 1
    resumed, before = True, len(reports)
    learned = learn(Examples(images(32)), recipe, checkpoint=checkpoint, progress=watch)
    assert next(note for _, total, note in reports[before:] if total).startswith("epoch 2")
    assert learned.history is not None
    assert len(learned.history.loss) == 2
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"checkpoint.npz", "checkpoint-teacher-1.npz", "checkpoint-teacher-2.npz"}


def test_info_nce_is_least_when_each_finds_its_other():
    views = np.eye(8, dtype=np.float32)
    right = float(info_nce(np.concatenate([views, views])))
    wrong = float(info_nce(np.concatenate([views, views[::-1]])))
    assert right < 0.1 < wrong


def test_a_turned_embedding_is_as_alike_and_zeros_are_no_lesson():
    generator = np.random.default_rng(0)
    wanted = generator.normal(size=(9, 4)).astype(np.float32)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    turned = wanted @ np.linalg.qr(generator.normal(size=(4, 4)))[0].astype(np.float32)
    assert float(similarity_loss(turned, wanted)) == pytest.approx(0, abs=1e-9)
    assert float(similarity_loss(turned[::-1].copy(), wanted)) > 0.01
    assert float(similarity_loss(turned, np.zeros_like(wanted))) == 0


def test_a_feature_in_its_place_has_no_loss_and_without_a_place_there_is_none():
    places = np.eye(5, dtype=np.float32)
    assert float(place_loss(places, places)) == 0
    assert float(place_loss(places[::-1].copy(), places)) == pytest.approx(0.8)
    assert float(place_loss(places, np.zeros_like(places))) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"noise": -1.0},
        {"rotation": float("nan")},
        {"preset": "best"},
        {"rotation": 181.0},
    ],
)
def test_recipes_that_make_no_sense_are_refused(wrong: dict[str, float | str]):
    with pytest.raises(OptionError, match=next(iter(wrong)).replace("_", "-")):
        Recipe(**wrong)  # type: ignore[arg-type]
