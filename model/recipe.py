"""The article's training options, and how a training went: plain values that go into model.json."""

from dataclasses import dataclass, field

from cbir.core.options import check_options, option


@dataclass(frozen=True)
class Recipe:
    """What decides a training, besides the images."""

    epochs: int = option(20, "Epochs to train.", least=1)
    batch_size: int = option(128, "Images a training step.", least=1)
    noise: float = option(0.5, "Standard deviation of the Gaussian noise added to pixels in [0, 1].", least=0)
    seed: int = option(0, "Seed of weights, order and noise.", least=0)

    def __post_init__(self) -> None:
        check_options(self)


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
