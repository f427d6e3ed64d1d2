"""Principal components of the pixels: the baseline in fewer values.

In: pixels in [0, 1]. Out: their coordinates along the directions in which the
source's images differ most. Not whitened: the distances approximate those of the
pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cbir.core.options import check_options, option
from cbir.core.progress import Progress, silent
from cbir.model.errors import ModelError
from cbir.model.kind import Kind
from cbir.model.method import Examples, Inference, Learned
from cbir.model.preprocessing import to_unit

KIND = Kind("pca", "Principal components of the pixels.", __name__)
REVISION = 1
#: Most pixel values to learn from (float32: 256 MB); with more the components hardly change.
_MAX_VALUES = 64_000_000


@dataclass(frozen=True)
class Recipe:
    """What decides the components, besides the images."""

    values: int = option(128, "Values in a feature; at most as many as the images span.", least=1)
    seed: int = option(0, "Random seed for choosing among many images, and of the solver.", least=0)

    def __post_init__(self) -> None:
        check_options(self)


def learn(
    examples: Examples,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,  # noqa: ARG001 - takes seconds
    progress: Progress = silent,
) -> Learned:
    """Find the components by scikit-learn's PCA.

    Raises
    ------
    ModelError
        For a single image.
    """
    from sklearn.decomposition import PCA

    images = examples.images
    if len(images) < 2:
        raise ModelError("encoder 'pca' needs at least 2 images; ingest more, or use --encoder pixels")
    progress("train", 0, None)
    most = max(2, _MAX_VALUES // images[0].size)
    if len(images) > most:
        images = images[np.sort(np.random.default_rng(recipe.seed).choice(len(images), most, replace=False))]
    pixels = to_unit(images).reshape(len(images), -1)
    # n images span n - 1 directions around their mean.
    values = min(recipe.values, len(pixels) - 1, pixels.shape[1])
    with np.errstate(invalid="ignore"):  # if all images are the same there is no variance to take shares of
        found = PCA(values, copy=False, random_state=recipe.seed).fit(pixels)
    progress("train", 1, 1)
    return Learned(arrays={"mean": found.mean_, "components": found.components_})


def run(arrays: Mapping[str, np.ndarray]) -> Inference:
    """Return the function from (n, h, w, c) to (n, values).

    Parameters
    ----------
    arrays : mapping
        `mean` (h * w * c,) and `components` (values, h * w * c), both float32.
    """
    mean, components = arrays["mean"], arrays["components"]
    return lambda images: (images.reshape(len(images), -1) - mean) @ components.T
