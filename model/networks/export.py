"""Exports the encoder of a Keras model as an ONNX graph.

In: a model with a layer named `encoder`. Out: `encoder.onnx`, (n, h, w, c)
float32 to (n, d) float32 features, and the fingerprint of weights and
preprocessing. Also reads the `.keras` and `.h5` files people already have.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.core.errors import first_line
from cbir.core.muted import muted
from cbir.model.errors import ModelError
from cbir.model.networks.backend import keras
from cbir.model.networks.structure import structure
from cbir.model.preprocessing import Preprocessing

if TYPE_CHECKING:
    from keras import Model

#: Name of the layer whose output, flattened, is the feature.
CODE_LAYER = "encoder"


def load_keras(path: Path) -> "Model":
    """Read a `.keras` or `.h5` file with Keras's safe mode on.

    Raises
    ------
    ModelError
        Unreadable, in need of code from outside Keras, or without a layer `encoder`.
    """
    if not path.is_file():
        raise ModelError(f"{path} does not exist")
    try:
        model = keras().saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # noqa: BLE001 - Keras raises nearly anything for a bad file
        text = str(error).replace(str(path), "")
        if "safe_mode" in text or "Lambda" in text or "unsafe" in text.lower():
            cause = "it would run code of its own (a Lambda layer), which cbir refuses"
        else:
            cause = first_line(error)
        raise ModelError(f"{path} cannot be loaded: {cause}") from None
    encoder_of(model, str(path))
    return model


def encoder_of(model: "Model", name: str = "the model") -> "Model":
    """Cut the model at its layer `encoder` and flatten that layer's output.

    Returns
    -------
    keras.Model
        (n, h, w, c) to (n, d).

    Raises
    ------
    ModelError
        No such layer, or an input that is not a grey or RGB picture of fixed size.
    """
    try:
        code = model.get_layer(CODE_LAYER).output
    except ValueError:
        have = ", ".join(layer.name for layer in model.layers)
        raise ModelError(f"{name} has no layer named '{CODE_LAYER}' (its layers: {have})") from None
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:] or shape[3] not in (1, 3):
        raise ModelError(f"{name} takes {shape}; cbir needs (None, height, width, 1 or 3)")
    return keras().Model(model.input, keras().layers.Flatten(name="feature")(code), name="encoder")


def code_shape_of(model: "Model") -> list[int]:
    """Return the shape that the layer `encoder` gives a picture's code: height, width and maps, or its length."""
    return [int(side) for side in model.get_layer(CODE_LAYER).output.shape[1:]]


def preprocessing_of(model: "Model") -> Preprocessing:
    """Return the preprocessing that yields this model's input."""
    _, height, width, channels = model.input_shape
    return Preprocessing(height=height, width=width, channels=channels)


def fingerprint_of(encoder: "Model", preprocessing: Preprocessing) -> str:
    """Hash what decides the features: layers, weights and preprocessing; 16 hexadecimal digits."""
    described = [preprocessing.describe(), structure(encoder)]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    for weights in encoder.get_weights():
        digest.update(str(weights.shape).encode() + weights.astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def write_onnx(encoder: "Model", path: Path) -> None:
    """Export a network for onnxruntime; the exporters' log messages are muted."""
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with muted():
        encoder(keras().ops.zeros((1, *encoder.input_shape[1:])))  # export wants a model called once
        encoder.export(path, format="onnx", verbose=False)
