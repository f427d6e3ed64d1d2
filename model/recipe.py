"""What decides a training run, and what it left behind: plain values for the model's card."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What decides a training run, besides the images.

    Parameters
    ----------
    epochs, batch_size : int
    noise : float
        Standard deviation of the Gaussian noise added to pixels in [0, 1].
    seed : int
        Seeds weights, order and noise; not negative.
    """

    epochs: int = 20
    batch_size: int = 128
    noise: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class History:
    """Binary cross-entropy after each epoch; `validation` on images not trained on."""

    loss: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()
