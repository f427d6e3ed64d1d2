"""A text tower that knows colours: words mean what the collection's own encoder sees of them, at length 1."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor

from cbir.model.bundle import Bundle


class ColourWords:
    """Encodes the names of colours; what else a text says means nothing.

    Parameters
    ----------
    bundle : Bundle
        Of an encoder that sees colours.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.dimension = bundle.dimension
        self._encoder = bundle.encoder(threads=1)
        self._preprocessing = bundle.preprocessing

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return features, (n, d) float32, L2-normalised."""
        pixels = [self._preprocessing.pixels(Image.new("RGB", (8, 8), self._colour(text))) for text in texts]
        features = self._encoder.encode(np.stack(pixels))
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    def _colour(self, text: str) -> tuple[int, ...]:
        known = [ImageColor.getrgb(word) for word in text.split() if word in ImageColor.colormap]
        return tuple(np.mean(known or [(90, 90, 90)], axis=0).astype(int).tolist())
