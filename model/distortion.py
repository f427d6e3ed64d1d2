"""Distortions of queries, to measure how much of a collection's score is left: turned, scaled, blurred, ...

In: a picture, a strength, a random generator. Out: a picture of the same
content. The draw (which way to turn, which noise) is the generator's alone: the
same at every strength, and for every encoder.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from cbir.core.errors import CbirError
from cbir.model.border import ground
from cbir.model.modes import eight_bit

#: Larger pictures are scaled down to this first: twice what any encoder sees, and a bound on the work.
_LONGEST = 512
#: Smaller pictures are enlarged before they are moved about: 8x8 pixels lose by turning what no encoder can mend.
_SHORTEST = 28
_RIM = 2


class DistortionError(CbirError):
    """An unknown distortion, or a strength out of range."""


@dataclass(frozen=True)
class DistortionKind:
    """One distortion of the registry.

    Attributes
    ----------
    name : str
    unit : str
        What a strength means.
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
    strengths: tuple[float, ...]
    low: float
    high: float
    nothing: float = 0.0


@dataclass(frozen=True)
class Distortion:
    """A kind of distortion at one strength; as text, what `--distort` takes: `rotate=30`."""

    kind: DistortionKind
    strength: float

    def __call__(self, picture: Image.Image, generator: np.random.Generator) -> Image.Image:
        """Distort a picture that was made `workable`."""
        return self.kind.apply(picture, self.strength, generator)

    def __str__(self) -> str:
        return f"{self.kind.name}={self.strength:g}"


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


def _rotate(picture: Image.Image, degrees: float, generator: np.random.Generator) -> Image.Image:
    """Turn about the centre, left or right, over the picture's own ground.

    The frame stays: growing it would shrink the object as well. At 45 degrees
    MNIST's digits lose 0.02% of their ink to the corners, the 8x8 ones 1.4%.
    """
    picture = _enlarged(picture)
    colour = ground(picture)
    # A rim of ground, so that what is cut by the frame ends softly.
    rimmed = ImageOps.expand(picture, _RIM, colour)
    turned = rimmed.rotate(_side(generator) * degrees, Image.Resampling.BICUBIC, fillcolor=colour)
    return ImageOps.crop(turned, _RIM)


def _scale(picture: Image.Image, factor: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Shrink into, or enlarge beyond, the same frame, about the centre."""
    picture = _enlarged(picture)
    width, height = picture.width / factor, picture.height / factor
    return _window(picture, (picture.width - width) / 2, (picture.height - height) / 2, width, height)


def _shift(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:
    """Move by a share of the width, in any direction."""
    picture = _enlarged(picture)
    angle = generator.uniform(0, 2 * math.pi)
    far = share * picture.width
    return _window(picture, far * math.cos(angle), far * math.sin(angle), picture.width, picture.height)


def _blur(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Blur by a Gaussian whose standard deviation is a share of the width."""
    return picture.filter(ImageFilter.GaussianBlur(share * picture.width))


def _noise(picture: Image.Image, deviation: float, generator: np.random.Generator) -> Image.Image:
    """Add Gaussian noise to every pixel and channel, in [0, 1], and clip."""
    pixels = np.asarray(picture, np.float32)
    noisy = pixels + 255 * deviation * generator.standard_normal(pixels.shape, np.float32)
    return Image.fromarray(np.rint(noisy.clip(0, 255)).astype(np.uint8))


def _colour(picture: Image.Image, strength: float, generator: np.random.Generator) -> Image.Image:
    """Turn the hue by 90 degrees x strength; multiply or divide saturation by 1 + strength, brightness by half as much.

    A grey picture has no hue and no saturation: its contrast is changed instead.
    """
    turn = _side(generator)
    vivid, bright = (1 + strength) ** _side(generator), (1 + strength / 2) ** _side(generator)
    if picture.mode == "L":
        picture = ImageEnhance.Contrast(picture).enhance(vivid)
    else:
        hue, saturation, value = picture.convert("HSV").split()
        hue = ImageChops.add_modulo(hue, Image.new("L", hue.size, round(turn * strength * 64) % 256))
        picture = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
        picture = ImageEnhance.Color(picture).enhance(vivid)
    return ImageEnhance.Brightness(picture).enhance(bright)


def _jpeg(picture: Image.Image, quality: float, generator: np.random.Generator) -> Image.Image:  # noqa: ARG001
    """Write as JPEG and read again."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=round(quality))
    return Image.open(content, formats=("JPEG",)).convert(picture.mode)


def _side(generator: np.random.Generator) -> int:
    """Draw -1 or 1."""
    return int(generator.choice((-1, 1)))


def _enlarged(picture: Image.Image) -> Image.Image:
    times = math.ceil(_SHORTEST / min(picture.size))
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.BICUBIC)


def _window(picture: Image.Image, left: float, top: float, width: float, height: float) -> Image.Image:
    """Show a window of a picture and the ground around it, in the picture's own size."""
    out = 1 + math.ceil(max(0, -left, -top, left + width - picture.width, top + height - picture.height))
    size = (picture.width + 2 * out, picture.height + 2 * out)
    canvas = Image.new(picture.mode, size, ground(picture))
    canvas.paste(picture, (out, out))
    # Unlike an affine transform, resizing averages where it makes smaller.
    box = (left + out, top + out, left + out + width, top + out + height)
    return canvas.resize(picture.size, Image.Resampling.BICUBIC, box)


KINDS = {
    kind.name: kind
    for kind in (
        DistortionKind("rotate", "degrees, left or right", _rotate, (15, 30, 45, 90), 0, 180),
        DistortionKind("scale", "factor", _scale, (0.5, 0.75, 1.25, 1.5), 0.1, 10, nothing=1),
        DistortionKind("shift", "share of the width", _shift, (0.05, 0.1, 0.2), 0, 1),
        DistortionKind("blur", "standard deviation as a share of the width", _blur, (0.02, 0.05, 0.1), 0, 1),
        DistortionKind("noise", "standard deviation of pixels in [0, 1]", _noise, (0.1, 0.25, 0.5), 0, 10),
        DistortionKind("colour", "strength", _colour, (0.25, 0.5, 1), 0, 2),
        DistortionKind("jpeg", "quality", _jpeg, (50, 20, 10, 5), 1, 100, nothing=100),
    )
}
