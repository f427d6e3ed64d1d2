"""The layers of the contrastive encoder, and of the head that it is trained through.

In: an input shape and a seed. Out: Keras models. The feature map of a drawing
(grey) is flattened, as the meaning of a stroke depends on its position; that of
a photograph (colour) is averaged, as its subject may be anywhere.
"""

from typing import TYPE_CHECKING, Any

from cbir.model.networks.backend import keras
from cbir.model.networks.weights import seeded

if TYPE_CHECKING:
    from keras import Model

#: Values of each half of a drawing's feature, and of the diffusion embedding that it learns from.
HALF = 64
#: Values of the hidden layer before the halves: positions form clusters, which no linear layer separates.
_HIDDEN = 512
#: Values of a photograph's feature.
_PHOTOGRAPH = 128
#: Values of the head that InfoNCE trains, and of its hidden layer for photographs.
_HEAD, _HEAD_HIDDEN = 128, 256
#: Channels of the 4x4 map that says how a picture is drawn.
_STYLE = 8


def contrastive_network(shape: tuple[int, int, int], seed: int, *, wide: bool = False) -> "Model":
    """Build the untrained network.

    Parameters
    ----------
    shape : (height, width, channels)
        Height and width are equal, and even.
    seed : int
    wide : bool
        With twice the filters, up to the feature.

    Returns
    -------
    keras.Model
        (n, h, w, c) in [0, 1] to the same. Its layer `encoder` gives the feature,
        of norm 1; `likeness` and `place` are the halves of a drawing's. The head
        starts from the layer `pooled`, the decoder from `encoder` and `trunk`.
    """
    layers = keras().layers
    weights = seeded(seed)

    def conv(x: Any, filters: int, size: int = 3, strides: int = 1, **options: Any) -> Any:
        return layers.Conv2D(
            filters, size, strides=strides, padding="same", kernel_initializer=next(weights), **options
        )(x)

    def dense(x: Any, values: int, **options: Any) -> Any:
        return layers.Dense(values, kernel_initializer=next(weights), **options)(x)

    def normal(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    pixels = x = keras().Input(shape)
    side, widths = shape[0], iter(width * (1 + wide) for width in (32, 64, 128, 128, 256, 256))
    sides = []
    while side > 4:
        sides.append(side)
        size = 3 if sides[1:] else 5
        if sides[1:] or photographs(shape):
            x = normal(conv(x, next(widths), size=size, strides=2, use_bias=False))
        else:  # the largest map: normalising it costs as much as computing it
            x = conv(x, next(widths), size=size, strides=2, activation="relu")
        side = -(-side // 2)
    trunk = layers.Activation("linear", name="trunk")(x)  # 4 x 4 x 128
    if photographs(shape):
        pooled = dense(layers.GlobalAveragePooling2D()(trunk), _PHOTOGRAPH, use_bias=False, name="pooled")
        feature = layers.UnitNormalization(name="encoder")(pooled)
    else:
        pooled = layers.Flatten(name="pooled")(trunk)
        hidden = normal(dense(pooled, _HIDDEN, use_bias=False))
        halves = [layers.UnitNormalization(name=name)(dense(hidden, HALF)) for name in ("likeness", "place")]
        feature = layers.Concatenate(name="encoder")([layers.Rescaling(0.5**0.5)(half) for half in halves])

    content = layers.Reshape((side, side, 32))(dense(feature, side * side * 32, activation="relu"))
    x = layers.Concatenate()([content, conv(trunk, _STYLE, size=1, activation="relu")])
    for width in (32, *([16] * (len(sides) - 1))):
        x = layers.UpSampling2D(2)(conv(x, width, activation="relu"))
    spare = (side * 2 ** len(sides) - shape[0]) // 2
    x = layers.Cropping2D(spare)(x)
    restored = conv(x, shape[2], activation="sigmoid")
    return keras().Model(pixels, restored, name="contrastive")


def photographs(shape: tuple[int, int, int]) -> bool:
    """Tell whether pictures of this shape are treated as photographs, not drawings: those in colour are."""
    return shape[2] == 3


def head_of(network: "Model", seed: int) -> "Model":
    """Build the head that InfoNCE trains: from the layer `pooled` to values of norm 1.

    A photograph's has a hidden layer, so that what views change may stay in
    the feature (T. Chen et al., ICML 2020, section 4.2).
    """
    layers = keras().layers
    shape = network.input_shape[1:]
    pooled = x = keras().Input(network.get_layer("pooled").output.shape[1:])

    def dense(x: Any, values: int, number: int, **options: Any) -> Any:
        weights = keras().initializers.GlorotUniform(seed=seed + number)
        return layers.Dense(values, kernel_initializer=weights, **options)(x)

    if photographs(shape):
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(dense(x, _HEAD_HIDDEN, 1, use_bias=False)))
    return keras().Model(pooled, layers.UnitNormalization()(dense(x, _HEAD, 0)))
