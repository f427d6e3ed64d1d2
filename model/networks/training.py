"""Training by the article's recipe, resumable after any epoch.

In: an untrained autoencoder, uint8 pixels, a recipe. Out: the same model,
trained, and its loss history. Noise is drawn anew each epoch; the article drew
it once. Anew costs no second copy of the database in memory, cannot be
memorised, and scores the same (see benchmarks/article.py).
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.image import to_unit
from model.networks.backend import keras
from model.networks.faster import fast_twin, to_phases
from model.networks.structure import structure
from model.progress import Progress, silent
from model.recipe import History, Recipe
from model.whole import write_whole

if TYPE_CHECKING:
    from keras import Model

#: Adadelta's default when the article was written; Keras 3's 0.001 hardly learns.
LEARNING_RATE = 1.0

#: From images, recipe and epoch to (noisy, clean) float32 batches.
Batches = Callable[[np.ndarray, Recipe, int], Iterator[tuple[np.ndarray, np.ndarray]]]


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
        Only watched: it decides nothing.
    checkpoint : Path, optional
        Written whole after each epoch and read at the start, so that the same
        call goes on where an interrupted one stopped. The caller deletes it.
    progress : Progress
    batches : callable, optional
        Draws an epoch's (noisy, clean) batches; `noisy_batches` by default.

    Returns
    -------
    History
    """
    batches = batches or noisy_batches
    twin = fast_twin(autoencoder)
    twin.compile(
        optimizer=keras().optimizers.Adadelta(LEARNING_RATE),
        loss=keras().losses.BinaryCrossentropy(from_logits=True),
    )
    twin.optimizer.build(twin.trainable_variables)
    identity = _identity(autoencoder, images, recipe)
    history = _restore(checkpoint, twin, identity)
    steps = -(-len(images) // recipe.batch_size)
    for epoch in range(len(history.loss), recipe.epochs):
        total = loss = 0.0
        for step, (noisy, clean) in enumerate(batches(images, recipe, epoch)):
            total += float(twin.train_on_batch(noisy, to_phases(clean)))
            loss = total / (step + 1)
            note = f"epoch {epoch + 1}/{recipe.epochs}, loss {loss:.4f}"
            progress("train", epoch * steps + step + 1, recipe.epochs * steps, note)
        validation = history.validation
        if held_out is not None and len(held_out):
            validation = (*validation, _validation_loss(twin, held_out, recipe))
        history = History((*history.loss, loss), validation)
        if checkpoint is not None:
            _save(checkpoint, twin, identity, history)
    return history


def add_noise(pixels: np.ndarray, noise: float, generator: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise to float32 pixels in [0, 1] and clip to [0, 1]."""
    noisy = pixels + np.float32(noise) * generator.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(noisy, 0, 1, out=noisy)


def noisy_batches(images: np.ndarray, recipe: Recipe, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
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


def _identity(autoencoder: "Model", images: np.ndarray, recipe: Recipe) -> str:
    """Hash network, images and recipe: a checkpoint is of this training if these are the same."""
    described = [structure(autoencoder), asdict(recipe), images.shape]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def _save(path: Path, twin: "Model", identity: str, history: History) -> None:
    state: dict[str, Any] = {f"weight_{i}": w for i, w in enumerate(twin.get_weights())}
    state |= {f"optimizer_{i}": np.asarray(v) for i, v in enumerate(twin.optimizer.variables)}
    content = io.BytesIO()
    np.savez(content, identity=identity, loss=history.loss, validation=history.validation, **state)
    write_whole(path, content.getbuffer())


def _restore(path: Path | None, twin: "Model", identity: str) -> History:
    if path is None or not path.exists():
        return History()
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as state:
            if str(state["identity"]) != identity:
                return History()
            # All is read before anything is assigned: half a checkpoint must change nothing.
            weights = [state[f"weight_{i}"] for i in range(len(twin.weights))]
            moments = [state[f"optimizer_{i}"] for i in range(len(twin.optimizer.variables))]
            history = History(tuple(state["loss"].tolist()), tuple(state["validation"].tolist()))
    except Exception:  # noqa: BLE001 - a damaged archive can raise nearly anything
        return History()  # a checkpoint is only a convenience: start over
    twin.set_weights(weights)
    for variable, value in zip(twin.optimizer.variables, moments, strict=True):
        variable.assign(value)
    return history
