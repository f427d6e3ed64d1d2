"""What a source's pictures are like, grey or in colour, small or large, and the encoder input that suits them.

In: what decides it of each picture of a sample. Out: `Traits`, and a `Preprocessing`.
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
#: Pixels of the longer side of a small picture, at the most.
_SMALL = 48


@dataclass(frozen=True)
class Look:
    """What decides the encoder input that suits a picture: is it `grey`, and the pixels of its longer side."""

    grey: bool
    longest: int


@dataclass(frozen=True)
class Traits:
    """What a source's pictures are like: all of them `grey`, most of them `small`."""

    grey: bool
    small: bool

    def __str__(self) -> str:
        return f"{'small ' if self.small else ''}{'grey pictures' if self.grey else 'pictures in colour'}"

    def input(self, side: int | None = None) -> Preprocessing:
        """Return the encoder input that suits such pictures, of another size if there is a `side`.

        Small pictures: 28x28 in grey, the article's, and 32x32 in colour. Others: 64x64, uniform margins taken off.
        """
        side = side or ((28 if self.grey else 32) if self.small else 64)
        return Preprocessing(height=side, width=side, channels=1 if self.grey else 3, trim=not self.small)


#: What pictures may be like.
ALL_TRAITS = tuple(Traits(grey, small) for grey in (False, True) for small in (False, True))


def look(picture: Image.Image) -> Look:
    """Return what decides the encoder input that suits a picture."""
    return Look(is_grey(picture), max(picture.size))


def traits(looks: Sequence[Look]) -> Traits:
    """Return what a sample of pictures is like: grey if all are, small if half of them are at most 48 pixels long."""
    small = not looks or float(np.median([each.longest for each in looks])) <= _SMALL
    return Traits(all(each.grey for each in looks), small)


def possible_traits(looked: Look) -> list[Traits]:
    """Return what `traits` may find for a sample that holds this picture."""
    return [Traits(grey, small) for grey in sorted({looked.grey, False}) for small in (True, False)]


def validated_side(side: int | None) -> int | None:
    """Return the side of an encoder's input: 28, one of `SIDES`, or None for what suits the pictures.

    Raises
    ------
    ImageError
        A side that cannot be.
    """
    if side is not None and side != 28 and side not in SIDES:
        raise ImageError(f"size must be 28, or a multiple of 16 from {SIDES[0]} to {SIDES[-1]}, not {side}")
    return side
