"""EfficientNet-Lite0 as an ONNX graph: what a network trained on photographs sees in a picture.

In: the bytes of pictures of 224 x 224 pixels. Out: features of 1280 values, the
mean over all places of what the last convolution found there.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from cbir.model.pretrained.architecture import SCALE, SIZE, VALUES, ZERO, Convolution, convolutions
from cbir.model.pretrained.blueprint import Blueprint
from cbir.model.pretrained.eight_bits import add_in_eight_bits
from cbir.model.pretrained.weights import weights

if TYPE_CHECKING:
    import onnx

#: What a graph computes with: float32, or eight bits.
Precision = Literal["float", "int8"]


def network(precision: Precision, tensors: Mapping[str, np.ndarray] | None = None) -> "onnx.ModelProto":
    """Build the graph.

    Parameters
    ----------
    precision : str
        `float` or `int8`; the features of `int8` are nearly those of `float` (mean cosine 0.996).
    tensors : Mapping, optional
        What `weights` returns, if they have been read before.

    Returns
    -------
    onnx.ModelProto
        From `pictures`, (n, 224, 224, 3) uint8 RGB, to `features`, (n, 1280) float32, not normalised.

    Raises
    ------
    ModelError
        The weights are missing or damaged.
    """
    graph = Blueprint()
    graph.node("Transpose", ["pictures"], "planes", perm=[0, 3, 1, 2])
    add_layers = add_in_eight_bits if precision == "int8" else _add_in_float
    last = add_layers(graph, convolutions(weights() if tensors is None else tensors))
    graph.node("ReduceMean", [last], "features", axes=[2, 3], keepdims=0)
    return graph.model(
        "EfficientNet-Lite0",
        takes=("pictures", "uint8", ["n", SIZE, SIZE, 3]),
        gives=("features", "float32", ["n", VALUES]),
    )


def _add_in_float(graph: Blueprint, layers: Iterable[Convolution]) -> str:
    """Add the layers to a graph; return the name of the last one's output."""
    scale, zero = graph.constant("scale", np.float32(SCALE)), graph.constant("zero", np.uint8(ZERO))
    low, high = graph.constant("low", np.float32(0)), graph.constant("high", np.float32(6))
    before = graph.node("DequantizeLinear", ["planes", scale, zero], "normalised")
    for layer in layers:
        weight = graph.constant(f"{layer.name}.weight", layer.weight)
        bias = graph.constant(f"{layer.name}.bias", layer.bias)
        plain = not layer.relu6 and layer.adds is None
        convolved = layer.name if plain else f"{layer.name}.convolved"
        before = graph.node("Conv", [before, weight, bias], convolved, **layer.attributes)
        if layer.relu6:
            before = graph.node("Clip", [convolved, low, high], layer.name)
        elif layer.adds is not None:
            before = graph.node("Add", [convolved, layer.adds], layer.name)
    return before
