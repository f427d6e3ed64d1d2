"""How a picture became an encoder's input, step by step, in words: what preprocessing does to this one.

In: a decoded picture. Out: the pixels that are encoded, and the steps to them with their sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbir.model.margins import trimmed
from cbir.model.modes import in_mode, is_grey

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from cbir.model.preprocessing import Preprocessing


def explained(image: Image.Image, preprocessing: Preprocessing) -> tuple[np.ndarray, list[str]]:
    """Return an encoder's input of a picture, and the steps that lead there.

    Parameters
    ----------
    image : PIL.Image.Image
    preprocessing : Preprocessing

    Returns
    -------
    pixels : ndarray of uint8, shape (height, width, channels)
        As `Preprocessing.pixels` makes them.
    steps : list of str
        A sentence each.

    Raises
    ------
    ImageError
        As of `Preprocessing.pixels`.
    """
    steps = []
    grey = is_grey(image)
    if preprocessing.channels == 1:
        steps.append("It is grey already." if grey else "Its colours are turned to grey.")
    elif grey:
        steps.append("It is grey; red, green and blue are the same.")
    flat = in_mode(image, "L" if preprocessing.channels == 1 else "RGB")
    if preprocessing.trim:
        inside = trimmed(flat)
        if inside.size != flat.size:
            steps.append(f"Margins of one colour are taken off: {sized(inside.size)} are left.")
        flat = inside
    steps.append(_fitted(flat.size, preprocessing))
    if preprocessing.mean is not None or preprocessing.deviation is not None:
        steps.append("Values from 0 to 1 are then centred and scaled, each channel by itself.")
    return preprocessing.pixels(image), steps


def sized(size: tuple[int, int]) -> str:
    """Return a size in words."""
    return f"{size[0]:,} \u00d7 {size[1]:,} pixels"


def _fitted(size: tuple[int, int], preprocessing: Preprocessing) -> str:
    wanted = preprocessing.width, preprocessing.height
    if size == wanted and preprocessing.shortest is None:
        return f"It has the encoder's size: {sized(wanted)}."
    if preprocessing.fit == "squash":
        return f"It is brought to {sized(wanted)}, whatever its shape was."
    if preprocessing.fit == "crop":
        return f"Its middle is brought to {sized(wanted)}; what is too long on either side is cut off."
    scale = min(wanted[0] / size[0], wanted[1] / size[1])
    inside = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    word = "enlarged" if scale > 1 else "made smaller"
    if inside == wanted:
        return f"It is {word} to {sized(wanted)}."
    return f"It is {word} to {sized(inside)}, and the rest of {sized(wanted)} is filled with its border's colour."
