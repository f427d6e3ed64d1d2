"""A long training's state on disk, so that the same call continues after the last complete epoch.

In: a path, a hash of what decides the training, and its variables. Out: a file
that is replaced atomically after each epoch, and read at the start if it belongs
to this training.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.core.atomic import write_atomic
from cbir.model.networks.structure import structure
from cbir.model.recipe import History

if TYPE_CHECKING:
    from keras import Model


@dataclass(frozen=True)
class Checkpoint:
    """A training's state and the file that it is stored in.

    Attributes
    ----------
    path : Path or None
        Nothing is stored or restored if None. The caller deletes the file.
    identity : str
        From `identity`; a file of another training is ignored.
    variables : sequence of keras.Variable
        Weights and the optimizer's, in the same order each time; the optimizer must be built.
    """

    path: Path | None
    identity: str
    variables: Sequence[Any]

    def save(self, history: History, seconds: float) -> None:
        """Write the variables, the losses so far and the seconds spent on them, atomically."""
        if self.path is None:
            return
        state: dict[str, Any] = {f"variable_{i}": np.asarray(variable) for i, variable in enumerate(self.variables)}
        content = io.BytesIO()
        np.savez(
            content,
            identity=self.identity,
            loss=history.loss,
            validation=history.validation,
            seconds=seconds,
            **state,
        )
        with content.getbuffer() as held:  # released also if it cannot be written
            write_atomic(self.path, held)

    def restore(self) -> History:
        """Set the variables to those stored, and return the losses; empty if nothing is stored of this training."""
        if self.path is None or not self.path.exists():
            return History()
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as state:
                if str(state["identity"]) != self.identity:
                    return History()
                # Everything is read before anything is assigned: half a checkpoint must change nothing.
                values = [state[f"variable_{i}"] for i in range(len(self.variables))]
                losses, validation = (tuple(state[name].tolist()) for name in ("loss", "validation"))
                history = History(losses, validation, resumed=float(state["seconds"]))
        except Exception:  # noqa: BLE001 - a damaged archive can raise nearly anything
            return History()  # the training starts over
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)
        return history


def identity(network: "Model", recipe: Any, *arrays: np.ndarray) -> str:
    """Hash what decides a training; 64 hexadecimal digits.

    Parameters
    ----------
    network : keras.Model
    recipe : dataclass
    *arrays : ndarray
        Images, labels: whatever is learned from.
    """
    described = [structure(network), asdict(recipe), [array.shape for array in arrays]]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
