"""The article's network, arranged so that a few cores train it faster.

In: the plain autoencoder. Out: a twin that shares its weights and computes the
same function (to rounding), used only while training. An epoch of 20,000 images
on two cores takes 0.7 of the time of Keras's plain `fit` and 0.9 of a PyTorch
loop's (benchmarks/training.py). Where `fit`'s 3.5 s of bare steps go, and what
is won (one run):

- The last UpSampling2D + Conv2D to one channel is the most expensive pair. Each output
  pixel sees at most 2x2 pixels of the small image, so four small convolutions
  (one for each phase of the 2x2 upsampling) give the same result without the
  large image: 2.4 s. Comparing phases with phases avoids putting the image
  together again.
- Towers: a slice of the batch for each core, one thread an operation. Small
  convolutions gain little from being split among threads: 1.7 s.
"""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.core.workers import usable_cores
from cbir.model.networks.backend import keras

if TYPE_CHECKING:
    from keras import Model

#: Below 16 images a tower's operations are too small to be worth a slice.
MOST_TOWERS = 8


def fast_twin(autoencoder: "Model", towers: int | None = None) -> "Model":
    """Build the training twin.

    Parameters
    ----------
    autoencoder : keras.Model
        Ends in UpSampling2D(2), Conv2D(c, 3, padding="same", activation="sigmoid").
    towers : int, optional
        Slices of each batch computed side by side; one a core by default.

    Returns
    -------
    keras.Model
        (n, h, w, c) pixels to (n, h/2, w/2, 4c) logits: the phases of the
        restored image (see `to_phases`).
    """
    k = keras()
    upsampling, last = autoencoder.layers[-2:]
    phases = _PhaseConv2D(last)(upsampling.input)
    return side_by_side(k.Model(autoencoder.input, phases), towers)


def side_by_side(tower: "Model", towers: int | None = None) -> "Model":
    """Build a twin that shares the network's weights and gives a slice of each batch to each core.

    Only where each image is treated by itself: not to train a network with batch normalisation.
    """
    count = min(towers or usable_cores(), MOST_TOWERS)
    if count == 1:
        return tower
    return keras().Model(tower.input, _Towers(tower, count)(tower.input))


def to_phases(images: np.ndarray) -> np.ndarray:
    """Rearrange (n, h, w, c) into (n, h/2, w/2, 4c): channel d of pixel (2i+a, 2j+b) goes to (i, j, (2a+b)c + d)."""
    n, h, w, c = images.shape
    return images.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def _phase_matrix() -> np.ndarray:
    """Return (phase, small offset, kernel offset) ones: where each kernel row lands before upsampling."""
    lands = np.zeros((2, 3, 3), np.float32)
    for phase in (0, 1):
        for offset in (-1, 0, 1):
            lands[phase, (phase + offset) // 2 + 1, offset + 1] = 1
    return lands


def _PhaseConv2D(convolution: Any) -> Any:  # noqa: N802 - builds a layer class, as Keras is imported late
    lands = _phase_matrix()
    ops = keras().ops

    class PhaseConv2D(keras().layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.convolution = convolution

        def call(self, small: Any) -> Any:
            kernel = self.convolution.kernel  # (3, 3, c, d)
            kernels = ops.einsum("aik,bjl,klcd->ijcabd", lands, lands, kernel)
            kernels = ops.reshape(kernels, (3, 3, kernel.shape[2], 4 * kernel.shape[3]))
            return ops.conv(small, kernels, padding="same") + ops.tile(self.convolution.bias, 4)

    return PhaseConv2D()


def _Towers(tower: "Model", count: int) -> Any:  # noqa: N802
    ops = keras().ops

    class Towers(keras().layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.tower = tower

        def call(self, images: Any) -> Any:
            size = ops.shape(images)[0]
            edges = [size * i // count for i in range(count + 1)]

            def sliced() -> Any:
                return ops.concatenate([self.tower(images[a:b]) for a, b in itertools.pairwise(edges)])

            # The last batch of an epoch may have fewer images than there are towers.
            return ops.cond(size >= count, sliced, lambda: self.tower(images))

    return Towers()
