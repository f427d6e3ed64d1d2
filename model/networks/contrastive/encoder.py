"""A denoising encoder that learns, without labels, what stays the same.

In: pictures. Out: a network whose layer `encoder` gives features of norm 1, and
whose output is the picture without its noise. The training has four stages, a
curriculum; each adds an objective and keeps those before it:

1. Two random views of a picture are pulled together, against the rest of the
   batch (InfoNCE: A. van den Oord et al. 2018; SimCLR: T. Chen et al., ICML 2020).
2. So are a view of a picture and one of its nearest neighbours, which are found
   with the encoder in its current state (NNCLR: D. Dwibedi et al., ICCV 2021;
   TLDR: Y. Kalantidis et al., TMLR 2022).
3. The similarity of any two pictures of a batch is learned from diffusion on the
   graph of neighbours (`diffusion.py`), which joins the clusters that one kind of
   picture falls into.
4. The position that diffusion gives each picture is learned too.

The first two train a head that is dropped afterwards, the others a half of the
feature each: `likeness` orders the closest, `place` the rest of the database. The
graph is rebuilt every few epochs, by the head, in the last stage by head and
likeness together. At the end views are distorted half as much, as real queries
are hardly ever so distorted. Of few pictures, which get few steps, all views are
distorted half as much, and the later stages begin earlier.

The preset `quality` trains two teachers first, as above but with other seeds, then
one network without stages, whose neighbours and target positions come from the
graph of both teachers' features together (distillation of an ensemble: G. Hinton,
O. Vinyals, J. Dean 2015; a network that learns from its own kind and becomes
better: T. Furlanello et al., *Born-Again Neural Networks*, ICML 2018).

All this is for drawings, in grey. Photographs, in colour, stay in the first stage:
of a photograph's nearest neighbours two in three show something else, and
neither they nor diffusion among them helped (docs/encoders.md has the figures).
So there `quality` is a network of twice the filters, trained for twice the epochs.

The decoder gets the feature (what is shown) and a small map (how it is drawn):
what views change cannot be in the feature, but is needed to restore a picture.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cbir.core.options import check_options, option
from cbir.core.progress import Progress, share, silent
from cbir.model.kind import Kind
from cbir.model.method import Examples, Learned
from cbir.model.networks.backend import keras
from cbir.model.networks.checkpoint import identity
from cbir.model.networks.contrastive.layers import contrastive_network, head_of, photographs
from cbir.model.networks.contrastive.lessons import Curriculum, Lessons
from cbir.model.networks.contrastive.loss import contrastive_twin
from cbir.model.networks.contrastive.views import Ranges, halved
from cbir.model.networks.epochs import run_epochs
from cbir.model.recipe import History

if TYPE_CHECKING:
    from keras import Model
    from keras.optimizers.schedules import LearningRateSchedule

KIND = Kind("contrastive", "Self-supervised contrastive network with a denoising decoder.", __name__)
REVISION = 4

#: The presets: how much work goes into the training.
DEFAULT, QUALITY = "default", "quality"
#: Networks that the one of `quality` learns from.
_TEACHERS = 2
#: Epochs, unless few images need more.
_EPOCHS = 20
#: The smallest batch: batch normalisation works on slices of it, and needs several pictures in each.
_MIN_BATCH = 8
#: Fewer drawings than this get only 360 steps, too few to learn from views as different as those of many drawings.
#: With views half as far, and earlier stages, mAP of 1,500 MNIST images is 0.91 instead of 0.70 (1,000 others asked).
_FEW = 10_000
#: Where the stages after the first begin, as shares of the epochs.
_STAGES, _STAGES_OF_FEW = (0.2, 0.35, 0.7), (0.1, 0.2, 0.4)
#: Largest noise of a photograph's views: more hides details that are finer than a digit's strokes.
_PHOTOGRAPH_NOISE = 0.1


@dataclass(frozen=True)
class Recipe:
    """What decides the training, besides the images.

    The preset `quality` trains, for drawings, a network that learns from two others, whose seeds are this
    one's and the next; for photographs, one with twice the filters, for twice the epochs.
    """

    epochs: int | None = option(
        None,
        "Epochs to train; by default 20, and more for few images: at least 360 training steps (600 in colour).",
        least=1,
    )
    batch_size: int = option(512, "Pictures a training step, each seen twice; fewer if there are fewer.", least=1)
    noise: float = option(
        0.5,
        "Largest standard deviation of the Gaussian noise, added to pixels in [0, 1], that is to be removed. Views "
        "have as much; those of under 10,000 drawings half, in colour at most 0.1.",
        least=0,
    )
    rotation: float | None = option(
        None,
        "Degrees to either side that a picture may be turned and still be the same; by default 40, for under "
        "10,000 drawings 20, in colour 15. At 180 a 6 is a 9.",
        least=0,
        most=180,
    )
    preset: str = option(DEFAULT, "quality takes three times as long or more.", choices=(DEFAULT, QUALITY))
    seed: int = option(0, "Seed of weights, order and views.", least=0)

    def __post_init__(self) -> None:
        check_options(self)


def learn(
    examples: Examples, recipe: Recipe, *, checkpoint: Path | None = None, progress: Progress = silent
) -> Learned:
    """Train the encoder and its decoder; the module's docstring says how.

    Teachers have checkpoints beside the one that is named, `-teacher-1` and so on after its stem.
    """
    progress("train", 0, None, "loading Keras")  # takes seconds
    images, curriculum = examples.images, curriculum_for(examples.shape, len(examples.images), recipe)
    trainings = curriculum.teachers + 1
    features, resumed = [], 0.0
    for number in range(curriculum.teachers):
        teacher = replace(recipe, preset=DEFAULT, seed=recipe.seed + number)
        place = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-teacher-{number + 1}")
        part = share(progress, number, trainings, f"teacher {number + 1}")
        _, history, lessons = _train_network(images, curriculum, teacher, None, place, part)
        features.append(lessons.features())
        resumed += history.resumed
    teacher_features = np.concatenate(features, axis=1) if features else None
    part = share(progress, curriculum.teachers, trainings)
    network, history, _ = _train_network(images, curriculum, recipe, teacher_features, checkpoint, part)
    return Learned(network=network, history=replace(history, resumed=history.resumed + resumed))


def _train_network(
    images: np.ndarray,
    curriculum: Curriculum,
    recipe: Recipe,
    teacher_features: np.ndarray | None,
    checkpoint: Path | None,
    progress: Progress,
) -> tuple["Model", History, Lessons]:
    """Train one network, by the neighbour graph of its teachers' features if there are any."""
    height, width, channels = images.shape[1:]
    network = contrastive_network((height, width, channels), recipe.seed, wide=curriculum.wide)
    head = head_of(network, recipe.seed)
    size = max(_MIN_BATCH, min(recipe.batch_size, max(len(images) // 12, min(len(images), 64))))
    steps = max(1, len(images) // size)
    epochs = recipe.epochs or curriculum.longer * max(_EPOCHS, -(-curriculum.steps // steps))
    twin = contrastive_twin(network, head, curriculum.targets)
    twin.compile(optimizer=keras().optimizers.AdamW(learning_rate(epochs * steps), weight_decay=1e-4))
    lessons = Lessons(
        network, head, images, curriculum, recipe.seed, epochs=epochs, size=size, teacher_features=teacher_features
    )
    history = run_epochs(
        twin,
        lessons.batches,
        epochs,
        steps,
        identity=identity(network, recipe, images),
        checkpoint=checkpoint,
        progress=progress,
    )
    return network, history, lessons


def learning_rate(steps: int) -> "LearningRateSchedule":
    """Return the learning rate by step: up to its peak in the first quarter, at most 100 steps, then down to 0."""
    warmup = min(100, steps // 4)
    # Keras counts the steps of the decay from the end of the warm-up.
    return keras().optimizers.schedules.CosineDecay(1e-4, steps - warmup, warmup_target=2e-3, warmup_steps=warmup)


def curriculum_for(shape: tuple[int, int, int], count: int, recipe: Recipe) -> Curriculum:
    """Choose how a network is trained on so many pictures of this shape.

    Photographs stay in the first stage; views of few drawings are distorted half as much.
    """
    quality = recipe.preset == QUALITY
    if photographs(shape):
        rotation = 15.0 if recipe.rotation is None else recipe.rotation
        return Curriculum(
            Ranges(
                rotation=rotation,
                scale=(1.0, 2.2),
                shear=0.1,
                shift=0.0,
                elastic=0.01,
                noise=min(_PHOTOGRAPH_NOISE, recipe.noise),
                blur=0.02,
                crop=True,
                light=0.4,
                mirror=True,
            ),
            steps=600,
            longer=2 if quality else 1,
            restored_noise=recipe.noise,
            wide=quality,
        )
    few = count < _FEW
    ranges = Ranges(rotation=40.0, scale=(0.7, 1.3), shear=0.3, shift=0.1, elastic=0.03, noise=recipe.noise, blur=0.05)
    if few:
        ranges = replace(halved(ranges), shift=ranges.shift / 2)
    if recipe.rotation is not None:
        ranges = replace(ranges, rotation=recipe.rotation)
    return Curriculum(
        ranges,
        steps=360,
        restored_noise=recipe.noise if few else None,
        stages=_STAGES_OF_FEW if few else _STAGES,
        targets={"likeness": 20.0, "place": 10.0},
        teachers=_TEACHERS if quality else 0,
    )
