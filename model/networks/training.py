"""Training by the article's recipe, resumable after any epoch.

In: an untrained autoencoder, uint8 pixels, a recipe. Out: the same model,
trained, and its loss history. Noise is drawn again in each epoch; the article drew
it once. New noise needs no second copy of the database in memory, cannot be
memorised, and scores the same (see benchmarks/article.py).
"""

import functools
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.model.networks.backend import keras
from cbir.model.networks.checkpoint import identity
from cbir.model.networks.epochs import run_epochs
from cbir.model.networks.faster import fast_twin, to_phases
from cbir.model.preprocessing import to_unit
from cbir.model.recipe import History, Recipe

if TYPE_CHECKING:
    from keras import Model

#: Adadelta's default when the article was written; Keras 3's 0.001 hardly learns.
LEARNING_RATE = 1.0

#: From images, recipe and epoch to (noisy, clean) float32 batches.
Batches = Callable[[np.ndarray, Recipe, int], Generator[tuple[np.ndarray, np.ndarray], None, None]]


def train(
    autoencoder: "Model",
    images: np.ndarray,
    recipe: Recipe,
    *,
    held_out: np.ndarray | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    batches: Batches | None = None,
) -> History:
    """Train the denoising autoencoder in place.

    Parameters
    ----------
    autoencoder : keras.Model
        From `article_autoencoder`.
    images : ndarray of uint8, shape (n, 28, 28, 1)
    recipe : Recipe
    held_out : ndarray of uint8, shape (m, 28, 28, 1), optional
        Images whose loss is recorded; they decide nothing.
    checkpoint : Path, optional
        Replaced atomically after each epoch and read at the start, so that the same
        call continues where an interrupted one stopped. The caller deletes it.
    progress : Progress
    batches : callable, optional
        Draws an epoch's (noisy, clean) batches; `noisy_batches` by default.

    Returns
    -------
    History
    """
    draw = batches or noisy_batches
    twin = fast_twin(autoencoder)
    twin.compile(
        optimizer=keras().optimizers.Adadelta(LEARNING_RATE),
        loss=keras().losses.BinaryCrossentropy(from_logits=True),
    )

    def phased(epoch: int) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        for noisy, clean in draw(images, recipe, epoch):
            yield noisy, to_phases(clean)

    watch = None
    if held_out is not None and len(held_out):
        watch = functools.partial(_validation_loss, twin, held_out, recipe)
    return run_epochs(
        twin,
        phased,
        recipe.epochs,
        -(-len(images) // recipe.batch_size),
        identity=identity(autoencoder, recipe, images),
        watch=watch,
        checkpoint=checkpoint,
        progress=progress,
    )


def add_noise(pixels: np.ndarray, noise: float, generator: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise to float32 pixels in [0, 1] and clip to [0, 1]."""
    noisy = pixels + np.float32(noise) * generator.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(noisy, 0, 1, out=noisy)


def noisy_batches(
    images: np.ndarray, recipe: Recipe, epoch: int
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Yield (noisy, clean) float32 batches, in an order and with noise set by seed and epoch."""
    generator = np.random.default_rng([recipe.seed, epoch])
    order = generator.permutation(len(images))
    for start in range(0, len(images), recipe.batch_size):
        clean = to_unit(images[order[start : start + recipe.batch_size]])
        yield add_noise(clean, recipe.noise, generator), clean


def _validation_loss(twin: "Model", held_out: np.ndarray, recipe: Recipe) -> float:
    clean = to_unit(held_out)
    noisy = add_noise(clean, recipe.noise, np.random.default_rng(recipe.seed))
    return float(twin.evaluate(noisy, to_phases(clean), batch_size=recipe.batch_size, verbose=0))
