"""Eight bits or float: which one encodes the pictures of a source, on this processor.

In: some of the source's pictures, and what the user wants. Out: the network in
the precision to use, ready to run, and why it is this one. Eight bits are
several times as fast where the processor has instructions for them (VNNI, AMX,
dot products of ARM), and may be slower elsewhere or on a GPU; so both are tried.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from cbir.model.graph import graph_of
from cbir.model.method import Inference
from cbir.model.pretrained.efficientnet import Precision, network
from cbir.model.pretrained.weights import weights

if TYPE_CHECKING:
    import onnx

#: What a user may want.
PRECISIONS = ("auto", "int8", "float")
#: Below this mean cosine to the features in float, eight bits are not good enough. Photographs have 0.996;
#: blurred ones, drawings, and digits scaled up 0.988 to 0.991.
MIN_COSINE = 0.98
#: Pictures to compare with, and how many of them are encoded at once.
_PICTURES, _BATCH = 8, 4
#: Times that eight bits are timed again if they seem slower: another program may have been in the way.
_RETRIES = 3


@dataclass(frozen=True)
class Chosen:
    """The network in the precision to use.

    Attributes
    ----------
    precision : str
        `int8` or `float`.
    network : onnx.ModelProto
        From pictures, (n, 224, 224, 3) uint8, to features, (n, 1280) float32.
    run : callable
        The same, as a function; give it some 8 pictures at once: more are no faster, and take memory.
    cosine : float or None
        Mean cosine between the features in eight bits and in float; None if not compared.
    speed : float or None
        How many times as fast as float eight bits are; None if not compared.
    notes : tuple of str
        What was decided and why, in one line; nothing if there was nothing to decide.
    """

    precision: Precision
    network: "onnx.ModelProto"
    run: Inference
    cosine: float | None = None
    speed: float | None = None
    notes: tuple[str, ...] = ()


def choose_precision(pictures: np.ndarray, wanted: str = "auto") -> Chosen:
    """Choose between eight bits and float.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (n, 224, 224, 3), n > 0
        Of the source; at most 8 are looked at, spread over all. (Takes 0.15 s on two cores.)
    wanted : str
        `int8` or `float` is taken without a look at pictures; `auto` is `int8` where it is faster and as good.

    Raises
    ------
    ModelError
        The weights are missing or damaged.
    """
    tensors = weights()
    if wanted != "auto":
        return _ready(cast("Precision", wanted), tensors)
    rounded, exact = _ready("int8", tensors), _ready("float", tensors)
    shown = pictures[np.linspace(0, len(pictures) - 1, min(len(pictures), _PICTURES)).astype(int)]
    features, seconds = _encoded(rounded.run, shown)
    expected, expected_seconds = _encoded(exact.run, shown)
    cosine = _mean_cosine(features, expected)
    for _ in range(_RETRIES):
        if seconds < expected_seconds:
            break
        seconds = min(seconds, _encoded(rounded.run, shown)[1])
    speed = expected_seconds / seconds
    found = f"{speed:.1f} times as fast, mean cosine to float {cosine:.3f}"
    if cosine < MIN_COSINE:
        chosen, reason = exact, f"float: eight bits change these pictures' features too much ({found})"
    elif speed <= 1:
        chosen, reason = exact, f"float: eight bits are no faster on this processor ({found})"
    else:
        chosen, reason = rounded, f"eight bits: {found}"
    return replace(chosen, cosine=cosine, speed=speed, notes=(reason,))


def _ready(precision: Precision, tensors: Mapping[str, np.ndarray]) -> Chosen:
    model = network(precision, tensors)
    return Chosen(precision, model, graph_of(model.SerializeToString(), "the network", threads=0))


def _encoded(run: Inference, pictures: np.ndarray) -> tuple[np.ndarray, float]:
    """Return features, (n, 1280), and the shortest time that one of the batches took a picture."""
    features, seconds = [], []
    for start in range(0, len(pictures), _BATCH):
        batch = pictures[start : start + _BATCH]
        clock = time.perf_counter()
        features.append(run(batch))
        seconds.append((time.perf_counter() - clock) / len(batch))
    return np.concatenate(features), min(seconds)


def _mean_cosine(one: np.ndarray, other: np.ndarray) -> float:
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(np.mean((one * other).sum(axis=1) / np.maximum(norms, np.finfo(np.float32).tiny)))
