"""Convolutional denoising autoencoders, layer by layer.

In: an input shape and a seed. Out: a Keras model from pictures to the same
pictures, whose layer named `encoder` holds the code. For 28x28 grey it is exactly
the article's; for other sizes and for colour it is a similar one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.core.progress import Progress, silent
from cbir.model.kind import Kind
from cbir.model.method import Examples, Learned
from cbir.model.networks.backend import keras
from cbir.model.networks.training import train
from cbir.model.networks.weights import seeded
from cbir.model.preprocessing import Preprocessing
from cbir.model.recipe import Recipe

if TYPE_CHECKING:
    from keras import Model
    from keras.layers import Layer

__all__ = ["INPUT", "KIND", "REVISION", "Recipe", "article_autoencoder", "learn", "picture_autoencoder"]

KIND = Kind("autoencoder", "The article's convolutional denoising autoencoder; another for colour.", __name__)
INPUT = Preprocessing(height=28, width=28, channels=1)
REVISION = 1


def learn(
    examples: Examples, recipe: Recipe, *, checkpoint: Path | None = None, progress: Progress = silent
) -> Learned:
    """Train an autoencoder of the examples' shape by the article's recipe."""
    progress("train", 0, None, "loading Keras")  # takes seconds
    shape = examples.shape
    autoencoder = article_autoencoder(recipe.seed) if shape == INPUT.shape else picture_autoencoder(shape, recipe.seed)
    held_out = examples.held_out() if examples.held_out else None
    history = train(autoencoder, examples.images, recipe, held_out=held_out, checkpoint=checkpoint, progress=progress)
    return Learned(network=autoencoder, history=history)


def article_autoencoder(seed: int) -> "Model":
    """Build the untrained network.

    Parameters
    ----------
    seed : int
        Seeds the weights of each layer; Keras's global seed is left alone.

    Returns
    -------
    keras.Model
        (n, 28, 28, 1) in [0, 1] to (n, 28, 28, 1) in [0, 1]; its layer
        `encoder` gives (n, 4, 4, 8).
    """
    layers, conv = keras().layers, _convolutions(seed)
    pixels = keras().Input(INPUT.shape)  # 28 x 28 x 1
    x = conv(16)(pixels)
    x = layers.MaxPooling2D(2, padding="same")(x)  # 14 x 14 x 16
    x = conv(8)(x)
    x = layers.MaxPooling2D(2, padding="same")(x)  # 7 x 7 x 8
    x = conv(8)(x)
    x = layers.MaxPooling2D(2, padding="same", name="encoder")(x)  # 4 x 4 x 8
    x = conv(8)(x)
    x = layers.UpSampling2D(2)(x)  # 8 x 8 x 8
    x = conv(8)(x)
    x = layers.UpSampling2D(2)(x)  # 16 x 16 x 8
    x = conv(16, padding="valid")(x)  # 14 x 14 x 16
    x = layers.UpSampling2D(2)(x)  # 28 x 28 x 16
    restored = conv(1, activation="sigmoid")(x)  # 28 x 28 x 1
    return keras().Model(pixels, restored, name="article_autoencoder")


def picture_autoencoder(shape: tuple[int, int, int], seed: int) -> "Model":
    """Build the untrained network for other sizes and for colour: the article's design, wider.

    The side is halved while it is even and at least 8; each of the places that are left has up
    to 16 values: 256 in all for squares of 32 or 64 pixels.

    Parameters
    ----------
    shape : (height, width, channels)
        Height and width are equal, and even.
    seed : int

    Returns
    -------
    keras.Model
        (n, h, w, c) in [0, 1] to the same.
    """
    layers, conv = keras().layers, _convolutions(seed)
    halvings, side = 0, min(shape[:2])
    while side % 2 == 0 and side >= 8:
        halvings, side = halvings + 1, side // 2
    values = max(2, min(16, 400 // side**2))
    pixels = x = keras().Input(shape)
    for _ in range(halvings - 1):
        x = layers.MaxPooling2D(2)(conv(32)(x))
    x = layers.MaxPooling2D(2, name="encoder")(conv(values)(x))  # 32x32: 4 x 4 x 16
    for _ in range(halvings):
        x = layers.UpSampling2D(2)(conv(32)(x))
    restored = conv(shape[2], activation="sigmoid")(x)
    return keras().Model(pixels, restored, name="picture_autoencoder")


def _convolutions(seed: int) -> "Callable[..., Layer]":
    """Return a function that makes the next 3x3 convolution."""
    weights = seeded(seed)

    def conv(filters: int, activation: str = "relu", padding: str = "same") -> "Layer":
        return keras().layers.Conv2D(
            filters, 3, activation=activation, padding=padding, kernel_initializer=next(weights)
        )

    return conv
