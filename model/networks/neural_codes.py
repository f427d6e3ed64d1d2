"""Neural codes: a network learns to classify, and the output of its last layer but one is the feature.

In: pictures of one shape and the numbers of their classes. Out: a network whose
layer `encoder` gives 128 values of Euclidean length 1.

A. Babenko, A. Slesarev, A. Chigorin and V. Lempitsky, Neural Codes for Image
Retrieval, ECCV 2014. Differences: the network is small and is trained on the
collection's own classes; the paper's was trained on ImageNet.
"""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.core.options import check_options, option
from cbir.core.progress import Progress, silent
from cbir.model.errors import ModelError
from cbir.model.kind import Kind
from cbir.model.method import Examples, Learned
from cbir.model.networks.backend import keras
from cbir.model.networks.checkpoint import identity
from cbir.model.networks.epochs import run_epochs
from cbir.model.networks.faster import side_by_side
from cbir.model.networks.weights import seeded
from cbir.model.preprocessing import to_unit

if TYPE_CHECKING:
    from keras import Model

KIND = Kind("neural-codes", "A classifier's last layer but one (Babenko et al. 2014).", __name__, learns_from="labels")
REVISION = 1

DIMENSION = 128
#: Adam's at the start; it falls to zero along half a cosine.
LEARNING_RATE = 2e-3
#: Images are shifted by up to this share of their side.
_SHIFT = 1 / 14


@dataclass(frozen=True)
class Recipe:
    """What decides a training, besides the images and labels."""

    epochs: int = option(8, "Epochs to train.", least=1)
    batch_size: int = option(256, "Images a training step.", least=1)
    seed: int = option(0, "Seed of weights, order, shifts and flips.", least=0)

    def __post_init__(self) -> None:
        check_options(self)


def learn(
    examples: Examples, recipe: Recipe, *, checkpoint: Path | None = None, progress: Progress = silent
) -> Learned:
    """Train a classifier of the examples' shape and cut it where its feature is."""
    if examples.labels is None:
        raise ModelError("encoder 'neural-codes' learns from labels, and the images have none")
    progress("train", 0, None, "loading Keras")  # takes seconds
    images, labels = examples.images, examples.labels
    network, classifier = neural_coder(examples.shape, int(labels.max()) + 1, recipe.seed)
    steps = -(-len(images) // recipe.batch_size)
    falling = keras().optimizers.schedules.CosineDecay(LEARNING_RATE, recipe.epochs * steps)
    twin = side_by_side(classifier)
    twin.compile(keras().optimizers.Adam(falling), keras().losses.SparseCategoricalCrossentropy(from_logits=True))
    history = run_epochs(
        twin,
        lambda epoch: labelled_batches(images, labels, recipe, epoch),
        recipe.epochs,
        steps,
        identity=identity(classifier, recipe, images, labels),
        checkpoint=checkpoint,
        progress=progress,
    )
    return Learned(network=network, history=history)


def neural_coder(shape: tuple[int, int, int], classes: int, seed: int) -> tuple["Model", "Model"]:
    """Build the untrained network and its classifier, which share their weights.

    Parameters
    ----------
    shape : (height, width, channels)
    classes : int
    seed : int
        Seeds the weights of each layer; Keras's global seed is left alone.

    Returns
    -------
    network : keras.Model
        (n, h, w, c) in [0, 1] to (n, 128) of length 1: its layer `encoder`.
    classifier : keras.Model
        The same to (n, classes) logits. It decides from the feature before that
        is brought to length 1, as in the paper.
    """
    k = keras()
    layers = k.layers
    weights = seeded(seed, "HeNormal")

    def halved(x: Any, filters: int, width: int = 3) -> Any:
        made = layers.Conv2D(
            filters, width, strides=2, padding="same", activation="relu", kernel_initializer=next(weights)
        )
        return made(x)

    pixels = k.Input(shape)  # 28 x 28 x 1
    x = halved(pixels, 32, width=5)  # 14 x 14 x 32
    x = halved(x, 64)  # 7 x 7 x 64
    x = halved(x, 128)  # 4 x 4 x 128
    side = -(-max(shape[:2]) // 8)
    while side > 4:
        x, side = halved(x, 128), -(-side // 2)
    feature = layers.Dense(DIMENSION, activation="relu", kernel_initializer=next(weights))(layers.Flatten()(x))
    classifier = k.Model(pixels, layers.Dense(classes, kernel_initializer=next(weights))(feature), name="classifier")
    code = layers.UnitNormalization(name="encoder")(feature)
    return k.Model(pixels, code, name="neural_codes"), classifier


def labelled_batches(
    images: np.ndarray, labels: np.ndarray, recipe: Recipe, epoch: int
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Yield batches of float32 pixels and class numbers, in an order and shifted as set by seed and epoch.

    Colour pictures are flipped too, half of them: photographs may be, letters and digits not.
    """
    generator = np.random.default_rng([recipe.seed, epoch])
    order = generator.permutation(len(images))
    for start in range(0, len(images), recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        pixels = shifted(to_unit(images[chosen]), generator)
        if pixels.shape[3] == 3:
            flips = generator.random(len(pixels)) < 0.5
            pixels[flips] = pixels[flips, :, ::-1]
        yield pixels, labels[chosen]


def shifted(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Shift each of (n, h, w, c) pictures by whole pixels; the edge that moves in is repeated."""
    count, height, width, _ = pixels.shape
    most = max(1, round(_SHIFT * min(height, width)))
    down, right = generator.integers(-most, most + 1, (2, count, 1))
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    return pixels[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
