"""Edited copies of pictures, by name and strength: what `--distort` takes, and the edits that copies are tested by.

In: text such as `rotate=15,30` or `mirror`. Out: distortions, each of which
makes of a picture one of the same content (`cbir.model.edits`), the same for
every encoder.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cbir.core.errors import CbirError
from cbir.model import edits
from cbir.model.modes import eight_bit

#: Larger pictures are scaled down to this first: twice what any encoder sees, and a bound on the work.
_LONGEST = 512


class DistortionError(CbirError):
    """An unknown distortion, or a strength out of range."""


@dataclass(frozen=True)
class DistortionKind:
    """One distortion of the registry.

    Attributes
    ----------
    name : str
    unit : str
        What a strength means; empty for what is done or not, and has no strength.
    apply : callable
        From (picture in 8-bit grey or RGB, strength, generator) to such a picture.
    strengths : tuple of float
        Used where none is given.
    low, high : float
        The least and the most.
    nothing : float
        The strength that changes nothing, or next to nothing.
    """

    name: str
    unit: str
    apply: Callable[[Image.Image, float, np.random.Generator], Image.Image]
    strengths: tuple[float, ...] = (1,)
    low: float = 1
    high: float = 1
    nothing: float = 0.0


@dataclass(frozen=True)
class Distortion:
    """A kind of distortion at one strength; as text, what `--distort` takes: `rotate=30`, `mirror`."""

    kind: DistortionKind
    strength: float

    def __call__(self, picture: Image.Image, generator: np.random.Generator) -> Image.Image:
        """Distort a picture that was made `workable`."""
        return self.kind.apply(picture, self.strength, generator)

    def __str__(self) -> str:
        return f"{self.kind.name}={self.strength:g}" if self.kind.unit else self.kind.name


def distortions(texts: Sequence[str]) -> list[Distortion]:
    """Parse what `--distort` takes.

    Parameters
    ----------
    texts : sequence of str
        `NAME` for its usual strengths, or `NAME=A,B,...`.

    Returns
    -------
    list of Distortion
        Each once; of one kind together, from what changes least.

    Raises
    ------
    DistortionError
        No such distortion, no number, or one out of range.
    """
    wanted: dict[str, set[float]] = {}
    for text in texts:
        name, equals, strengths = text.partition("=")
        name = name.strip()
        if name not in KINDS:
            raise DistortionError(f"unknown distortion '{name}'; choose from {', '.join(KINDS)}")
        kind = KINDS[name]
        given = [_strength(kind, part) for part in strengths.split(",")] if equals else kind.strengths
        wanted.setdefault(name, set()).update(given)
    return [
        Distortion(KINDS[name], strength)
        for name, strengths in wanted.items()
        for strength in sorted(strengths, reverse=KINDS[name].nothing == KINDS[name].high)
    ]


def workable(picture: Image.Image) -> Image.Image:
    """Return a picture as distortions take it: 8-bit grey or RGB, at most 512 pixels long."""
    picture = eight_bit(picture)
    if max(picture.size) <= _LONGEST:
        return picture
    scale = _LONGEST / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _strength(kind: DistortionKind, text: str) -> float:
    if not kind.unit:
        raise DistortionError(f"{kind.name} has no strength: write {kind.name}, not {kind.name}={text}")
    try:
        strength = float(text)
    except ValueError:
        strength = math.nan
    if not kind.low <= strength <= kind.high:  # nor NaN
        usual = ",".join(f"{s:g}" for s in kind.strengths)
        raise DistortionError(
            f"{kind.name} must be {kind.low:g} to {kind.high:g} ({kind.unit}), not '{text}'; "
            f"for example {kind.name}={usual}"
        )
    return strength


KINDS = {
    kind.name: kind
    for kind in (
        DistortionKind("rotate", "degrees, left or right", edits.rotate, (15, 30, 45, 90), 0, 180),
        DistortionKind("scale", "factor", edits.scale, (0.5, 0.75, 1.25, 1.5), 0.1, 10, nothing=1),
        DistortionKind("shift", "share of the width", edits.shift, (0.05, 0.1, 0.2), 0, 1),
        DistortionKind("turn", "degrees, left or right", edits.turn, (10, 90), 0, 180),
        DistortionKind("crop", "share of each side that is kept", edits.crop, (0.7, 0.4), 0.05, 1, nothing=1),
        DistortionKind("middle", "share of each side that is kept", edits.middle, (0.7, 0.4), 0.05, 1, nothing=1),
        DistortionKind("mirror", "", edits.mirror),
        DistortionKind("resize", "share of each side", edits.resize, (0.5, 0.25), 0.01, 1, nothing=1),
        DistortionKind("blur", "standard deviation as a share of the longer side", edits.blur, (0.02, 0.05, 0.1), 0, 1),
        DistortionKind("noise", "standard deviation of pixels in [0, 1]", edits.noise, (0.1, 0.25, 0.5), 0, 10),
        DistortionKind("jpeg", "quality", edits.jpeg, (50, 20, 10, 5), 1, 100, nothing=100),
        DistortionKind("colour", "strength", edits.colour, (0.25, 0.5, 1), 0, 2),
        DistortionKind("bright", "factor", edits.bright, (0.5, 1.5), 0.1, 10, nothing=1),
        DistortionKind("grey", "", edits.grey),
        DistortionKind("text", "height of the letters as a share of the picture's", edits.text, (0.1, 0.15), 0, 1),
        DistortionKind("frame", "share of the longer side", edits.frame, (0.05, 0.1, 0.2), 0, 1),
        DistortionKind("letterbox", "share of the height", edits.letterbox, (0.1, 0.2), 0, 2),
        DistortionKind("screenshot", "", edits.screenshot),
        DistortionKind("phone", "", edits.phone),
    )
}


def _copy(name: str, strength: float = 1) -> Distortion:
    return Distortion(KINDS[name], strength)


#: What people do to photographs, a name in plain English each: whoever has the copy looks for the original.
COPIES: tuple[tuple[str, Distortion], ...] = (
    ("JPEG, quality 20", _copy("jpeg", 20)),
    ("a quarter of the size", _copy("resize", 0.25)),
    ("blurred, 1% of the longer side", _copy("blur", 0.01)),
    ("brighter by half", _copy("bright", 1.5)),
    ("grey", _copy("grey")),
    ("mirrored", _copy("mirror")),
    ("70% by 70%, off centre", _copy("crop", 0.7)),
    ("the middle 40% by 40%", _copy("middle", 0.4)),
    ("turned by 10 degrees, black corners", _copy("turn", 10)),
    ("turned by 90 degrees", _copy("turn", 90)),
    ("a caption laid over", _copy("text", 0.1)),
    ("screenshot of a window", _copy("screenshot")),
)
