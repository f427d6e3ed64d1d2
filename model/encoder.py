"""Images in, features out: one function for every encoder, network or not.

In: pixels. Out: `encode(images) -> (n, d) float32`, validated. No TensorFlow
here: this is what a search loads.
"""

import math

import numpy as np

from cbir.model.errors import ModelError
from cbir.model.method import Inference
from cbir.model.preprocessing import Preprocessing

#: Images encoded at once, at most and at least: the activations of 256 small images stay in the processor's cache.
_MOST, _LEAST = 256, 8
#: Values of input encoded at once: a network's activations follow from it (8 images of 224x224x3).
_VALUES = 1_250_000


class Encoder:
    """Runs one encoder.

    Parameters
    ----------
    run : callable
        From what `preprocessing.inputs` makes to (n, d) float32.
    preprocessing : Preprocessing
        Makes pictures into the encoder's input.
    fingerprint : str
        Identifies weights and preprocessing; stored with every collection that this encoder fills.
    dimension : int
        Values in a feature, d.
    code_bits : int or None
        Number of leading values of a feature that are its short code; None if it has none.
    """

    def __init__(
        self,
        run: Inference,
        preprocessing: Preprocessing,
        fingerprint: str,
        dimension: int,
        code_bits: int | None = None,
    ) -> None:
        self._run = run
        self.preprocessing = preprocessing
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.code_bits = code_bits

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Turn pixels into features.

        Parameters
        ----------
        images : ndarray, shape (n, h, w, c)
            uint8, or float32 in [0, 1].

        Returns
        -------
        ndarray of float32, shape (n, d)

        Raises
        ------
        ModelError
            Wrong shape, of images or of features, or a value or feature that is not finite.
        """
        if images.ndim != 4 or images.shape[1:] != self.preprocessing.shape:
            expected = "x".join(str(s) for s in self.preprocessing.shape)
            raise ModelError(f"the encoder takes (n, {expected}) images, not {images.shape}")
        parts = [np.empty((0, self.dimension), np.float32)]
        size = max(_LEAST, min(_MOST, _VALUES // math.prod(self.preprocessing.shape)))
        for start in range(0, len(images), size):
            block = self.preprocessing.inputs(_finite(images[start : start + size]))
            made = self._run(block)
            if made.shape != (len(block), self.dimension):
                raise ModelError(
                    f"the encoder gave features of shape {made.shape} instead of {(len(block), self.dimension)}: "
                    "the model is damaged"
                )
            parts.append(made.astype(np.float32, copy=False))
        features = np.concatenate(parts)
        if not np.isfinite(features).all():
            raise ModelError(
                "the encoder gave NaN or infinite features: the model is damaged, or does not suit these pictures"
            )
        return features


def _finite(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8 and not np.isfinite(pixels).all():
        raise ModelError("the images hold NaN or infinite values")
    return pixels
