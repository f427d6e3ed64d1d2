"""The structure of a Keras network as plain values, which do not depend on the names of its layers.

In: a model. Out: JSON values to hash: each layer's class, settings and inputs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras import Model

#: Settings that change nothing in what a trained layer computes.
_IRRELEVANT = frozenset({"name", "trainable", "kernel_initializer", "bias_initializer", "batch_input_shape"})


def structure(model: "Model") -> list[dict[str, Any]]:
    """Describe the layers in order.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    list of dict
        `kind`, `settings`, and `inputs`: for each input tensor the layer (by
        position) and output that it comes from.
    """
    layers = list(model.layers)
    position = {id(layer): number for number, layer in enumerate(layers)}

    def origin(tensor: Any) -> list[int]:
        layer, node, output = tensor._keras_history
        return [position.get(id(layer), -1), node, output]

    described = []
    for layer in layers:
        settings = {k: v for k, v in layer.get_config().items() if k not in _IRRELEVANT}
        nodes = layer._inbound_nodes
        inputs = [[origin(tensor) for tensor in node.input_tensors] for node in nodes[:1]]
        described.append({"kind": type(layer).__name__, "settings": settings, "inputs": inputs})
    return described
