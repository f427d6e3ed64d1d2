"""Random views of pictures (augmentation): an encoder learns to give them the same feature.

In: pixels and the ranges to draw from. Out: the same pictures rotated, scaled,
sheared, shifted, bent, blurred and noisy; photographs also cropped, mirrored and
in other light. Labels are not used.
"""

from dataclasses import dataclass, replace

import numpy as np

#: Control points along each side of the elastic distortion's grid.
_GRID = 5
#: From red, green and blue to brightness and two coordinates of colour, which hue turns and saturation scales.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]], np.float32)


@dataclass(frozen=True)
class Ranges:
    """How far views are distorted.

    Attributes
    ----------
    rotation : float
        Degrees to either side.
    scale : (float, float)
        Smallest and largest factor.
    shear : float
        To either side, as the tangent.
    shift : float
        To either side, as a share of the picture's side.
    crop : bool
        A view that is enlarged may show any part of the picture, not only what is near its middle.
    elastic : float
        Standard deviation of the bending, as a share of the side.
    blur : float
        Largest standard deviation of the Gaussian blur, as a share of the side; half of the views have none.
    noise : float
        Largest standard deviation of the Gaussian noise, pixels in [0, 1]; half of the views have none.
    light : float
        Largest change of brightness, contrast and saturation, as a share, and of hue, in right angles; 0 for none.
    mirror : bool
        Mirror half of the views, left to right.
    """

    rotation: float
    scale: tuple[float, float]
    shear: float
    shift: float
    elastic: float
    noise: float
    blur: float = 0.0
    crop: bool = False
    light: float = 0.0
    mirror: bool = False


def halved(ranges: Ranges) -> Ranges:
    """Return ranges of half the distortion; crops, light and mirroring stay."""
    return replace(
        ranges,
        scale=ranges.scale if ranges.crop else (ranges.scale[0] ** 0.5, ranges.scale[1] ** 0.5),
        **{name: getattr(ranges, name) / 2 for name in ("rotation", "shear", "shift", "elastic", "noise", "blur")},
    )


def views(images: np.ndarray, ranges: Ranges, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw one view of each picture.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, h, w, c)
    ranges : Ranges
    generator : numpy.random.Generator

    Returns
    -------
    noisy, clean : ndarray of float32, each (n, h, w, c), in [0, 1]
        The same view with its noise and without.
    """
    import cv2

    count, height, width, channels = images.shape
    x, y = _maps(count, height, width, ranges, generator)
    # Where a rotated or shrunken picture leaves gaps, its border is repeated; photographs are mirrored there.
    border = cv2.BORDER_REPLICATE if channels == 1 else cv2.BORDER_REFLECT_101
    clean = np.empty(images.shape, np.float32)
    for image, view, map_x, map_y in zip(images, clean, x, y, strict=True):
        view[:] = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=border).reshape(view.shape)
    clean /= 255
    if ranges.blur:
        _blurred(clean, ranges.blur, generator)
    if ranges.light:
        clean = _lit(clean, ranges.light, generator)
    return noised(clean, ranges.noise, generator), clean


def noised(images: np.ndarray, noise: float, generator: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of up to a standard deviation to half of (n, h, w, c) pictures, and clip to [0, 1]."""
    each = (len(images), 1, 1, 1)
    deviation = generator.uniform(0, noise, each) * (generator.random(each) < 0.5)
    noisy = images + deviation.astype(np.float32) * generator.standard_normal(images.shape, dtype=np.float32)
    return np.clip(noisy, 0, 1, out=noisy)


def _maps(
    count: int, height: int, width: int, ranges: Ranges, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates that each pixel of each view comes from, two (n, h, w) float32."""
    import cv2

    side = max(height, width)
    angle = np.deg2rad(generator.uniform(-ranges.rotation, ranges.rotation, count))
    low, high = np.log(ranges.scale)
    scale = np.exp(generator.uniform(low, high, count))
    stretch = np.exp(generator.uniform(-0.15, 0.15, count))
    mirror = np.where(generator.random(count) < 0.5, -1, 1) if ranges.mirror else np.ones(count)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]]).transpose(2, 0, 1)
    stretched = np.zeros((count, 2, 2))
    stretched[:, 0, 0] = mirror / (scale * stretch)
    stretched[:, 1, 1] = stretch / scale
    stretched[:, 0, 1] = generator.uniform(-ranges.shear, ranges.shear, count)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    grid = np.stack([columns.ravel() - (width - 1) / 2, rows.ravel() - (height - 1) / 2])
    maps = ((turn @ stretched).astype(np.float32) @ grid).reshape(count, 2, height, width)
    free = np.maximum(0, 1 - np.abs(stretched[:, [0, 1], [0, 1]])) / 2 * (side - 1) if ranges.crop else 0.0
    moved = (generator.uniform(-1, 1, (count, 2)) * (ranges.shift * side + free)).reshape(count, 2, 1, 1)
    maps += np.array([(width - 1) / 2, (height - 1) / 2]).reshape(1, 2, 1, 1) + moved
    if ranges.elastic:
        bends = generator.normal(0, ranges.elastic * side, (count, 2, _GRID, _GRID)).astype(np.float32)
        control = np.eye(_GRID, dtype=np.float32)
        down = cv2.resize(control, (_GRID, height), interpolation=cv2.INTER_CUBIC)  # (h, grid)
        across = cv2.resize(control, (_GRID, width), interpolation=cv2.INTER_CUBIC)
        maps += down @ bends @ across.T
    maps = maps.astype(np.float32, copy=False)
    return maps[:, 0], maps[:, 1]


def _blurred(images: np.ndarray, blur: float, generator: np.random.Generator) -> None:
    """Blur half of the pictures, in place."""
    import cv2

    deviations = (
        generator.uniform(0, blur, len(images)) * (generator.random(len(images)) < 0.5) * max(images.shape[1:3])
    )
    for image, deviation in zip(images, deviations, strict=True):
        if deviation > 0.1:  # less changes no pixel
            image[:] = cv2.GaussianBlur(image, (0, 0), deviation).reshape(image.shape)


def _lit(images: np.ndarray, light: float, generator: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast, saturation and hue; one view in five loses its colour."""

    def factor() -> np.ndarray:
        return generator.uniform(1 - light, 1 + light, (len(images), 1, 1, 1)).astype(np.float32)

    lit = images * factor()
    mean = lit.mean(axis=(1, 2, 3), keepdims=True)
    lit = mean + (lit - mean) * factor()
    if lit.shape[3] == 3:
        saturation = factor() * (generator.random((len(images), 1, 1, 1)) >= 0.2)
        angle = generator.uniform(-light, light, len(images)) * (np.pi / 2)
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[cosine, -sine], [sine, cosine]], np.float32).transpose(2, 1, 0)
        lit = lit @ _YIQ.T
        lit[..., 1:] = (lit[..., 1:].reshape(len(images), -1, 2) @ turn).reshape(lit[..., 1:].shape) * saturation
        lit = lit @ np.linalg.inv(_YIQ).T
    return np.clip(lit, 0, 1, out=lit)
