"""A picture of any mode, light on the left and dark on the right."""

import numpy as np
from PIL import Image

MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"]


def half_light(mode: str, size: tuple[int, int]) -> Image.Image:
    """A picture, light on the left half and dark on the right, in any mode."""
    left_light = np.zeros((size[1], size[0]), np.uint8)
    left_light[:, : size[0] // 2] = 240
    if mode == "I;16":
        return Image.fromarray(left_light.astype(np.uint16) * 257)
    if mode == "I":
        return Image.fromarray(left_light.astype(np.int32) * 257)
    if mode == "F":
        return Image.fromarray(left_light.astype(np.float32) / 255)
    image = Image.fromarray(left_light)
    if mode == "PA":
        return image.convert("LA").convert("PA")
    return image.convert("RGB").convert(mode) if mode in ("CMYK", "YCbCr", "HSV", "P") else image.convert(mode)
