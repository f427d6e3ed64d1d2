"""The article's figure: noisy pictures, and the autoencoder's restored ones.

In: an autoencoder and pixels. Out: the noisy and the denoised pixels.
"""

from typing import TYPE_CHECKING

import numpy as np

from cbir.model.networks.training import add_noise
from cbir.model.preprocessing import to_bytes, to_unit

if TYPE_CHECKING:
    from keras import Model


def denoise(
    autoencoder: "Model", images: np.ndarray, *, noise: float = 0.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Add noise to pictures and remove it again.

    Parameters
    ----------
    autoencoder : keras.Model
        (n, h, w, c) to (n, h, w, c).
    images : ndarray of uint8, shape (n, h, w, c)
    noise : float
        Standard deviation in pixels of [0, 1].
    seed : int

    Returns
    -------
    noisy, denoised : ndarray of uint8, each (n, h, w, c)
    """
    noisy = add_noise(to_unit(images), noise, np.random.default_rng(seed))
    denoised = np.asarray(autoencoder.predict(noisy, verbose=0))
    return to_bytes(noisy), to_bytes(denoised)
