"""Short binary codes from a deep autoencoder, compared by how many bits differ.

In: pictures of one shape. Out: a network whose layer `encoder` gives bits as 0.0
and 1.0, so that squared Euclidean distance is Hamming distance and a plain
Euclidean search is a Hamming search. The leading bits are a code of their own:
the short code prunes the search, the long one ranks what is left.

A. Krizhevsky and G. Hinton, Using Very Deep Autoencoders for Content-Based Image
Retrieval, ESANN 2011. Differences: there is no pretraining by restricted
Boltzmann machines (Glorot and Bengio, AISTATS 2010, initialise a deep network
without), and one network gives both codes where the paper trains two. The code is
rounded in the forward pass and the rounding ignored in the backward pass, as in
the paper; today this is called the straight-through estimator (Bengio, Leonard
and Courville, 2013). Training the leading units to work alone is nested dropout
at one depth (Rippel, Gelbart and Adams, Learning Ordered Representations with
Nested Dropout, ICML 2014).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.core.options import option
from cbir.core.progress import Progress, silent
from cbir.model import recipe as article
from cbir.model.kind import Kind
from cbir.model.method import Examples, Learned
from cbir.model.networks.backend import keras
from cbir.model.networks.checkpoint import identity
from cbir.model.networks.epochs import run_epochs
from cbir.model.networks.training import noisy_batches
from cbir.model.networks.weights import seeded

if TYPE_CHECKING:
    from keras import Model

KIND = Kind("deep-autoencoder", "Binary codes, a short one that prunes (Krizhevsky and Hinton 2011).", __name__)
REVISION = 1

#: Of Adam.
LEARNING_RATE = 1e-3
#: Units of the layers between the pixels and the code, and back in the other order.
_HIDDEN = (1024, 512)


@dataclass(frozen=True)
class Recipe(article.Recipe):
    """What decides a training, besides the images."""

    epochs: int = option(12, "Epochs to train.", least=1)
    batch_size: int = option(256, "Images a training step.", least=1)
    noise: float = option(0.3, "Standard deviation of the Gaussian noise added to pixels in [0, 1].", least=0)
    bits: int = option(256, "Length of the code.", least=8, most=512)
    short_bits: int = option(
        28, "Leading bits of the code that prune a search; all, if the code is no longer.", least=8, most=32
    )


def learn(
    examples: Examples, recipe: Recipe, *, checkpoint: Path | None = None, progress: Progress = silent
) -> Learned:
    """Train a deep autoencoder of the examples' shape to restore noisy pictures from binary codes."""
    progress("train", 0, None, "loading Keras")  # takes seconds
    network, twin = binary_autoencoder(examples.shape, recipe)
    twin.compile(
        optimizer=keras().optimizers.Adam(LEARNING_RATE), loss=keras().losses.BinaryCrossentropy(from_logits=True)
    )
    history = run_epochs(
        twin,
        lambda epoch: noisy_batches(examples.images, recipe, epoch),
        recipe.epochs,
        -(-len(examples.images) // recipe.batch_size),
        identity=identity(network, recipe, examples.images),
        checkpoint=checkpoint,
        progress=progress,
    )
    return Learned(network=network, history=history, code_bits=min(recipe.short_bits, recipe.bits))


def binary_autoencoder(shape: tuple[int, int, int], recipe: Recipe) -> tuple["Model", "Model"]:
    """Build the untrained network, and the twin that trains it.

    Returns
    -------
    network : keras.Model
        (n, h, w, c) in [0, 1] to the same; its layer `encoder` gives (n, bits) of exactly 0.0 and 1.0.
    twin : keras.Model
        The same weights, ending in logits; its gradient passes through the rounding, and every second
        image is restored from its short code alone, so that the leading bits come to say the most.
    """
    k = keras()
    layers, ops = k.layers, k.ops
    weights = seeded(recipe.seed)

    def dense(units: int, activation: str | None = "relu") -> Any:
        return layers.Dense(units, activation=activation, kernel_initializer=next(weights))

    values = shape[0] * shape[1] * shape[2]
    down = [layers.Flatten(), *(dense(units) for units in _HIDDEN), dense(recipe.bits, None)]
    up = [*(dense(units) for units in reversed(_HIDDEN)), dense(values, None), layers.Reshape(shape)]

    def through(tensor: Any, stack: list[Any]) -> Any:
        for layer in stack:
            tensor = layer(tensor)
        return tensor

    pixels = k.Input(shape)
    # Without it bits become constant: all 28 were after 6 epochs of 10,000 digits.
    logits = layers.BatchNormalization(momentum=0.9, center=False, scale=False)(through(pixels, down))
    code = layers.Identity(name="encoder")(ops.cast(ops.greater(logits, 0), "float32"))
    restored = layers.Activation("sigmoid")(through(code, up))
    network = k.Model(pixels, restored, name="binary_autoencoder")
    rounded = _Rounding(min(recipe.short_bits, recipe.bits))(logits)
    return network, k.Model(pixels, through(rounded, up), name="training")


def _Rounding(short: int) -> Any:  # noqa: N802 - builds a layer class, as Keras is imported late
    ops = keras().ops

    class Rounding(keras().layers.Layer):  # type: ignore[misc]
        def call(self, logits: Any) -> Any:
            soft = ops.sigmoid(logits)
            bits = soft + ops.stop_gradient(ops.cast(logits > 0, soft.dtype) - soft)
            count, width = ops.shape(logits)[0], logits.shape[1]
            short_only = (ops.arange(count) % 2 == 0)[:, None] & (ops.arange(width) >= short)[None]
            return ops.where(short_only, 0.0, bits)

    return Rounding()
