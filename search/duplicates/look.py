"""What is kept of a picture to compare it with others: its light, its keypoints, a small copy in colour.

In: a picture of any size and mode. Out: a `Look`, at most 512 pixels long, some
600 KB. Keypoints are SIFT's (Lowe, IJCV 2004), described by RootSIFT
(Arandjelovic and Zisserman, CVPR 2012): they stay the same when a picture is
scaled, turned, cut, brightened or written as JPEG.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from cbir.model.margins import trimmed
from cbir.model.modes import eight_bit, is_grey

#: Pixels of the longer side. A burst's small movements show at this size, and SIFT takes some tens of milliseconds.
LONGEST = 512
#: Keypoints, the strongest first; and the contrast they need, half of OpenCV's own: dull pictures have few.
_KEYPOINTS, _CONTRAST = 800, 0.02
#: Side of the small copy in colour.
THUMB = 32


@dataclass(frozen=True)
class Look:
    """A picture, ready to be compared.

    Attributes
    ----------
    light : ndarray of uint8, shape (h, w)
    points : ndarray of float32, shape (n, 2)
        Where the keypoints are, x and y in pixels of `light`.
    descriptors : ndarray of float32, shape (n, 128)
        Each of length 1.
    thumb : ndarray of uint8, shape (32, 32, 3)
        The picture, squashed.
    inside : float
        Share of the picture's area that is within its plain margins: what a screenshot shows around does not count.
    grey : bool
        Whether it has no colour.
    """

    light: np.ndarray
    points: np.ndarray
    descriptors: np.ndarray
    thumb: np.ndarray
    inside: float
    grey: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of `light`."""
        height, width = self.light.shape
        return height, width


def look(picture: Image.Image) -> Look:
    """Prepare a picture to be compared.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of any mode.

    Raises
    ------
    ImageError
        NaN or infinite values (possible in float TIFFs).
    """
    small = _reduced(eight_bit(picture))
    light = np.asarray(small.convert("L"))
    points, descriptors = _keypoints(light)
    inside = trimmed(small)
    return Look(
        light=light,
        points=points,
        descriptors=descriptors,
        thumb=np.asarray(small.convert("RGB").resize((THUMB, THUMB), Image.Resampling.BOX)),
        inside=inside.width * inside.height / (small.width * small.height),
        grey=is_grey(small),
    )


def mirrored(descriptors: np.ndarray) -> np.ndarray:
    """Return the descriptors, (n, 128), that the same keypoints have in the mirrored picture.

    A descriptor is 4 x 4 histograms of 8 directions each, along the keypoint's own direction and across it: a mirror
    swaps what lies to either side, and the directions with it.
    """
    sides = descriptors.reshape(-1, 4, 4, 8)[:, ::-1]
    return sides[..., -np.arange(8) % 8].reshape(-1, 128)


def _reduced(picture: Image.Image) -> Image.Image:
    longest = max(picture.size)
    if longest <= LONGEST:
        return picture
    size = [max(1, round(side * LONGEST / longest)) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BOX, reducing_gap=2.0)


def _keypoints(light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return places (n, 2) and RootSIFT descriptors (n, 128) float32."""
    import cv2

    found, raw = cv2.SIFT_create(nfeatures=_KEYPOINTS, contrastThreshold=_CONTRAST).detectAndCompute(light, None)
    if raw is None:
        return np.empty((0, 2), np.float32), np.empty((0, 128), np.float32)
    places = np.array([point.pt for point in found], np.float32)
    return places, np.sqrt(raw / np.maximum(raw.sum(axis=1, keepdims=True), 1)).astype(np.float32)
