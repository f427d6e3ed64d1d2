"""Restores noisy pictures without Keras: all of an autoencoder, as a graph beside its encoder's.

In: a model bundle. Out: a function from noisy pixels to restored ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cbir.core.digest import sha256_of
from cbir.model.errors import ModelError
from cbir.model.graph import graph

if TYPE_CHECKING:
    from cbir.model.bundle import Bundle
    from cbir.model.method import Inference

#: The graph's file in a bundle. Those of older versions have none.
RESTORING = "autoencoder.onnx"


def restoring(bundle: Bundle, *, threads: int = 0) -> Inference | None:
    """Load what restores noisy pictures; None where the encoder has no decoder.

    Parameters
    ----------
    bundle : Bundle
    threads : int
        As of `Bundle.encoder`.

    Returns
    -------
    callable or None
        Of pixels as `Preprocessing.inputs` makes them, (n, h, w, c) float32, makes pixels in [0, 1] of this shape.

    Raises
    ------
    ModelError
        The bundle is of an older version, which wrote no such graph, or its file was changed; later, if what it makes
        is no picture.
    """
    if not bundle.metadata.get("denoises", False):
        return None
    digest = bundle.metadata.get("autoencoder_sha256")
    if digest is None:
        raise ModelError(
            f"model '{bundle.name}' was written by an older cbir, which kept what restores pictures for Keras alone: "
            "cbir denoise draws that; cbir ingest ... --retrain learns a new one"
        )
    file = bundle.path / RESTORING
    if not file.is_file() or sha256_of(file) != digest:
        raise ModelError(f"{file} is missing or was changed; restore the bundle or train again with --retrain")
    run = graph(file, threads=threads)

    def restored(inputs: np.ndarray) -> np.ndarray:
        made = run(inputs)
        if made.shape != inputs.shape or not np.isfinite(made).all():
            raise ModelError(f"{file} restores no pictures: it is damaged; train again with --retrain")
        return made

    return restored
