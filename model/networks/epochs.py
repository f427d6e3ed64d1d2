"""The training loop of every network: batches, steps, epochs; resumable after any epoch.

In: a compiled network, batches by epoch. Out: the network, trained, and its
loss history.
"""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.model.networks.checkpoint import Checkpoint
from cbir.model.recipe import History

if TYPE_CHECKING:
    from keras import Model

#: From the number of an epoch to its (input, wanted output) batches.
Batches = Callable[[int], Generator[tuple[np.ndarray, Any], None, None]]


def run_epochs(
    network: "Model",
    batches: Batches,
    epochs: int,
    steps: int,
    *,
    identity: str,
    watch: Callable[[], float] | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> History:
    """Train a network in place.

    Parameters
    ----------
    network : keras.Model
        Compiled, without metrics.
    batches : callable
    epochs, steps : int
        Epochs in all, and batches in each.
    identity : str
        From `cbir.model.networks.checkpoint.identity`.
    watch : callable, optional
        Returns the loss on images that are not trained on; called after each epoch, and decides nothing.
    checkpoint : Path, optional
        Replaced atomically after each epoch and read at the start, so that the same
        call continues where an interrupted one stopped. The caller deletes it.
    progress : Progress
        Stage `train`.

    Returns
    -------
    History
    """
    clock = time.perf_counter()
    network.optimizer.build(network.trainable_variables)
    state = Checkpoint(checkpoint, identity, [*network.weights, *network.optimizer.variables])
    history = state.restore()
    for epoch in range(len(history.loss), epochs):
        total = loss = 0.0
        with closing(batches(epoch)) as upcoming:
            for step, (given, wanted) in enumerate(upcoming):
                total += float(network.train_on_batch(given, wanted))
                loss = total / (step + 1)
                note = f"epoch {epoch + 1}/{epochs}, loss {loss:.4f}"
                progress("train", epoch * steps + step + 1, epochs * steps, note)
        validation = history.validation if watch is None else (*history.validation, watch())
        history = replace(history, loss=(*history.loss, loss), validation=validation)
        state.save(history, history.resumed + time.perf_counter() - clock)
    return history
