"""What decides a training run, and what it left behind: plain values for the model's card."""

import math
from dataclasses import dataclass, field

from cbir.model.encoder import ModelError


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

    def __post_init__(self) -> None:
        at_least(1, epochs=self.epochs, batch_size=self.batch_size)
        at_least(0, noise=self.noise, seed=self.seed)


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes
    ----------
    loss : tuple of float
        Mean of each epoch.
    validation : tuple of float
        The same on images not trained on, where they were watched.
    resumed : float
        Seconds that interrupted calls spent on the epochs that the last one took over.
    """

    loss: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()
    resumed: float = field(default=0.0, compare=False)


def at_least(smallest: float, **options: float) -> None:
    """Refuse options below a smallest value, or not finite.

    Raises
    ------
    ModelError
    """
    for name, value in options.items():
        if not smallest <= value < math.inf:
            raise ModelError(f"{name} must be at least {smallest}, not {value}")
