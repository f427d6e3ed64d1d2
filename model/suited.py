"""Which encoder input suits a source's pictures: grey or colour, small or large.

In: what decides it of each picture of a sample. Out: a `Preprocessing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cbir.model.errors import ImageError
from cbir.model.modes import is_grey
from cbir.model.preprocessing import Preprocessing

#: A square encoder input's side: what networks can halve, and what two cores can train.
SIDES = range(16, 257, 16)


@dataclass(frozen=True)
class Look:
    """What decides the encoder input that suits a picture: is it `grey`, and the pixels of its longer side."""

    grey: bool
    longest: int


def look(picture: Image.Image) -> Look:
    """Return what decides the encoder input that suits a picture."""
    return Look(is_grey(picture), max(picture.size))


def suited(looks: Sequence[Look], side: int | None = None) -> Preprocessing:
    """Choose the encoder input that suits a sample of pictures.

    Grey if all are grey, else colour. Small pictures (half of them at most 48
    pixels long): 28x28 in grey, the article's, and 32x32 in colour. Others: 64x64.

    Parameters
    ----------
    looks : sequence of Look
    side : int, optional
        Height and width to use instead: 28, or one of `SIDES`.

    Raises
    ------
    ImageError
        A side that cannot be.
    """
    if side is not None and side != 28 and side not in SIDES:
        raise ImageError(f"size must be 28, or a multiple of 16 from {SIDES[0]} to {SIDES[-1]}, not {side}")
    grey = all(each.grey for each in looks)
    small = not looks or float(np.median([each.longest for each in looks])) <= 48
    return _input(grey, small, side)


def possible_inputs(looked: Look, side: int | None = None) -> set[Preprocessing]:
    """Return what `suited` may choose for a sample that holds this picture."""
    return {_input(grey, small, side) for grey in {looked.grey, False} for small in (True, False)}


def _input(grey: bool, small: bool, side: int | None) -> Preprocessing:
    side = side or ((28 if grey else 32) if small else 64)
    return Preprocessing(height=side, width=side, channels=1 if grey else 3)
