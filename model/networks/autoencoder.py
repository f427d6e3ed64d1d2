"""The article's convolutional denoising autoencoder, layer by layer.

In: nothing but a seed. Out: a Keras model from 28x28 grey to 28x28 grey whose
layer named `encoder` holds the code. Read it top to bottom.
"""

from typing import TYPE_CHECKING

from model.image import Preprocessing
from model.networks.backend import keras

if TYPE_CHECKING:
    from keras import Model
    from keras.layers import Layer

INPUT = Preprocessing(height=28, width=28, channels=1)
CODE_LAYER = "encoder"


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
    layers = keras().layers
    seeds = iter(range(seed * 100, seed * 100 + 100))

    def conv(filters: int, activation: str = "relu", padding: str = "same") -> "Layer":
        weights = keras().initializers.GlorotUniform(seed=next(seeds))
        return layers.Conv2D(filters, 3, activation=activation, padding=padding, kernel_initializer=weights)

    pixels = keras().Input(INPUT.shape)  # 28 x 28 x 1
    x = conv(16)(pixels)
    x = layers.MaxPooling2D(2, padding="same")(x)  # 14 x 14 x 16
    x = conv(8)(x)
    x = layers.MaxPooling2D(2, padding="same")(x)  # 7 x 7 x 8
    x = conv(8)(x)
    x = layers.MaxPooling2D(2, padding="same", name=CODE_LAYER)(x)  # 4 x 4 x 8
    x = conv(8)(x)
    x = layers.UpSampling2D(2)(x)  # 8 x 8 x 8
    x = conv(8)(x)
    x = layers.UpSampling2D(2)(x)  # 16 x 16 x 8
    x = conv(16, padding="valid")(x)  # 14 x 14 x 16
    x = layers.UpSampling2D(2)(x)  # 28 x 28 x 16
    restored = conv(1, activation="sigmoid")(x)  # 28 x 28 x 1
    return keras().Model(pixels, restored, name="article_autoencoder")
