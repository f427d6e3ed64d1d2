"""The interface of an encoder's module, so that all are learned, stored and run alike.

A module of the registry has a `KIND` (name and description), a `REVISION` (raised
when the same recipe comes to mean another encoder), a `Recipe` (a frozen
dataclass: its options) and `learn`. One that learns arrays has `run` too; one
whose graph takes pictures in a size or normalisation of its own, `preprocessing`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.model.recipe import History

if TYPE_CHECKING:
    from keras import Model

#: From what `Preprocessing.inputs` makes (float32 pixels in [0, 1], by default) to float32 features (n, d).
Inference = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Examples:
    """The images that an encoder learns from.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, h, w, c)
        Empty for an encoder that `streams`.
    labels : ndarray of int64, shape (n,), or None
        Numbers of classes; only for an encoder that learns from labels.
    held_out : callable or None
        Returns images, uint8 of shape (m, h, w, c), whose loss may be recorded; they decide nothing.
    blocks : iterator or None
        For an encoder that `streams`: the images, some at a time, uint8 of shape (k, h, w, c); each is opened when
        it is asked for, and can be had once.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    held_out: Callable[[], np.ndarray] | None = None
    blocks: Iterator[np.ndarray] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image, (height, width, channels)."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels


@dataclass(frozen=True)
class Learned:
    """The result of learning: a network, an ONNX graph, or the arrays of a classical encoder.

    Attributes
    ----------
    network : keras.Model or None
        (n, h, w, c) in [0, 1]; its layer `encoder`, flattened, is the feature.
    graph : bytes or None
        An ONNX graph: its first input is what `Preprocessing.inputs` makes, its first output the features (n, d).
    arrays : dict of str to ndarray, or None
        What `run` needs.
    history : History or None
    code_bits : int or None
        Number of leading values of the feature that are 0.0 or 1.0: a short binary code, which prunes a search.
    about : Mapping
        What else model.json is to say, such as where a network comes from, as JSON values; its `notes` are lines for
        the user.
    features : ndarray of float32, shape (n, d), or None
        Of the examples, in their order, where learning made them anyway: they need not be encoded again.
    """

    network: "Model | None" = None
    graph: bytes | None = None
    arrays: Mapping[str, np.ndarray] | None = None
    history: History | None = None
    code_bits: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    features: np.ndarray | None = None


@dataclass(frozen=True)
class NoOptions:
    """The recipe of an encoder that has no options."""


def learn_nothing(
    examples: Examples,  # noqa: ARG001
    recipe: NoOptions,  # noqa: ARG001
    *,
    checkpoint: Path | None = None,  # noqa: ARG001
    progress: Progress = silent,  # noqa: ARG001
) -> Learned:
    """Learn nothing, for an encoder whose feature depends on the picture alone."""
    return Learned(arrays={})


class Method(Protocol):
    """An encoder's module.

    It may also define `preprocessing(suited)`: from the `Preprocessing` that suits the
    source's pictures to the one that the encoder needs. By default that is the same.
    """

    REVISION: int

    @property
    def Recipe(self) -> type[Any]:  # noqa: N802 - a class
        """Frozen dataclass whose fields are the encoder's options."""
        ...

    def learn(
        self, examples: Examples, recipe: Any, *, checkpoint: Path | None = None, progress: Progress = silent
    ) -> Learned:
        """Learn the encoder.

        Parameters
        ----------
        examples : Examples
        recipe : Recipe
        checkpoint : Path, optional
            Where a long training stores its state, so that the same call continues it. The caller deletes it.
        progress : Progress
            Stage `train`.
        """
        ...

    def run(self, arrays: Mapping[str, np.ndarray]) -> Inference:
        """Return the function that encodes with the arrays that were learned."""
        ...
