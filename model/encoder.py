"""Images in, features out, by onnxruntime alone.

In: a model bundle's `encoder.onnx`. Out: `encode(images) -> (n, d) float32`.
No TensorFlow here: this is what a search loads.
"""

from pathlib import Path

import numpy as np

from cbir.errors import CbirError, reason
from model.image import Preprocessing, to_unit

#: Images a run of the graph: the activations of 256 small images stay in cache.
_BLOCK = 256


class ModelError(CbirError):
    """A model that is missing, damaged or unsuitable."""


class Encoder:
    """Runs one encoder.

    Parameters
    ----------
    onnx : Path
        Graph from (n, h, w, c) float32 in [0, 1] to (n, d) float32.
    preprocessing : Preprocessing
        Makes pictures into the graph's input.
    fingerprint : str
        Identifies weights and preprocessing; kept by every collection filled from here.
    threads : int
        Threads for onnxruntime; 0 uses every core, 1 starts fastest (one query).

    Raises
    ------
    ModelError
        If the graph cannot be loaded.
    """

    def __init__(self, onnx: Path, preprocessing: Preprocessing, fingerprint: str, *, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base class
            raise ModelError(f"{onnx} cannot be loaded: {reason(error)}") from None
        self._input = self._session.get_inputs()[0].name
        self.preprocessing = preprocessing
        self.fingerprint = fingerprint
        self.dimension = int(self._session.get_outputs()[0].shape[1])

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Turn pixels into features.

        Parameters
        ----------
        images : ndarray, shape (n, h, w, c)
            uint8, or float32 in [0, 1].

        Returns
        -------
        ndarray of float32, shape (n, d)

        Raises
        ------
        ModelError
            Wrong shape, or a value or feature that is not finite.
        """
        if images.ndim != 4 or images.shape[1:] != self.preprocessing.shape:
            expected = "x".join(str(s) for s in self.preprocessing.shape)
            raise ModelError(f"the encoder takes (n, {expected}) images, not {images.shape}")
        features = np.empty((len(images), self.dimension), np.float32)
        for start in range(0, len(images), _BLOCK):
            block = images[start : start + _BLOCK]
            block = to_unit(block) if block.dtype == np.uint8 else block.astype(np.float32, copy=False)
            features[start : start + _BLOCK] = self._session.run(None, {self._input: block})[0]
        if not np.isfinite(features).all():
            raise ModelError("the encoder gave NaN or infinite features; check the images and the model")
        return features
