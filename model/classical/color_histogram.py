"""A histogram of colours: the simplest hand-crafted feature.

In: pixels in [0, 1]. Out: for colour a joint histogram of hue, saturation and
value, 16 x 4 x 4 = 256 bins; for grey 64 bins of brightness. Nothing is learned.

Source: Swain and Ballard, "Color indexing", IJCV 1991. The square root of a
histogram of sum 1 makes the Euclidean distance the Hellinger distance, fitter
for histograms: Arandjelovic and Zisserman, CVPR 2012.
"""

from collections.abc import Mapping

import numpy as np

from cbir.model.kind import Kind
from cbir.model.method import Inference, NoOptions, learn_nothing
from cbir.model.preprocessing import to_bytes

KIND = Kind(
    "color-histogram",
    "Histogram of the colours, or of the grey levels, wherever they are.",
    __name__,
    learns_from="nothing",
)
REVISION = 1
#: Bins of hue, saturation and value. Hue distinguishes most colours; the others change with the light.
_HSV = (16, 4, 4)
_GREY = (64,)

Recipe = NoOptions
learn = learn_nothing


def run(arrays: Mapping[str, np.ndarray]) -> Inference:  # noqa: ARG001
    """Return the function from (n, h, w, 3) to (n, 256), or from (n, h, w, 1) to (n, 64)."""
    import cv2

    def histograms(images: np.ndarray) -> np.ndarray:
        count, height, width, channels = images.shape
        pixels = to_bytes(images)
        if channels == 3:
            pixels = cv2.cvtColor(pixels.reshape(count * height, width, 3), cv2.COLOR_RGB2HSV_FULL).reshape(
                images.shape
            )
        bins = _HSV if channels == 3 else _GREY
        counts = np.empty((count, int(np.prod(bins))), np.float32)
        for row, image in zip(counts, pixels, strict=True):
            row[:] = cv2.calcHist([image], list(range(channels)), None, bins, [0, 256] * channels).ravel()
        return np.sqrt(counts / (height * width))

    return histograms
