"""Words become features, or it is said why they cannot and what to type.

In: texts and a text tower; or a collection whose encoder has none. Out: features,
comparable to those of pictures; or a message.
"""

import shlex

import numpy as np

from cbir.collection.metadata import Metadata
from cbir.model import registry
from cbir.model.bundle import Bundle
from cbir.model.errors import ModelError
from cbir.model.words import TextEncoder


def refusal(name: str, metadata: Metadata, bundle: Bundle) -> str:
    """Say that a collection's encoder has no text tower, and which encoders have one (which imports them all)."""
    able = [kind.name for kind in registry.encoders() if kind.words]
    said = f"collection '{name}' cannot be searched by words: its encoder, {bundle.kind}, does not understand them"
    if not able:
        return said
    source = metadata.place(metadata.sources[0]) if len(metadata.sources) == 1 else "SOURCE"
    command = shlex.join(["cbir", "ingest", source, "--encoder", able[0], "--collection", f"{name}-{able[0]}"])
    return f"{said} (those that do: {', '.join(able)}); type: {command}"


def encode_words(encoder: TextEncoder, texts: list[str], dimension: int) -> np.ndarray:
    """Return the features of texts, (n, d) float32.

    Raises
    ------
    ModelError
        The tower's features are not of the `dimension` of pictures' features.
    """
    features = encoder.encode(texts)
    if features.shape != (len(texts), dimension):
        raise ModelError(
            f"the encoder's text tower gives features of shape {features.shape[1:]}, not of {dimension} values as "
            "for pictures: they cannot be compared; ingest again with --retrain"
        )
    return features
